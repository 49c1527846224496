#include "tests/reference/golden.h"

namespace muonlab::reference {

namespace {

using namespace std::string_literals;  // a plain literal would become a bool

// Learning rate 0.02, decay 0.1 and momentum 0.95, whatever the preset's.
Options shared(Options options) {
  options.insert({{"lr", 0.02}, {"weight_decay", 0.1}});
  return options;
}

Golden golden(const std::string& name, const std::string& rule,
              const Options& options, std::vector<double> weight) {
  return {name, rule, shared(options), 3, std::move(weight)};
}

std::vector<Golden> elementwise_rows() {
  return {
      golden("SGD heavy ball Nesterov", "sgd",
             {{"momentum", 0.95}, {"nesterov", true}, {"weight_decay", 0.0}},
             {.4882032500, -.2252655000, .0764882500, -.7347870000, .9866887500,
              .3251015000}),
      golden("AdamW torch", "adamw", {},
             {.4608856691, -.2102513670, .0718883575, -.7598581684,
              1.0123006295, .2850537595}),
      golden("AdamW Moonlight", "adamw", {{"eps_placement", "inside"s}},
             {.4608856786, -.2102513720, .0718883621, -.7598581667,
              1.0123006279, .2850537606}),
      golden("Lion", "lion", {},
             {.4770459160, -.2285429180, .0643714190, -.7254690740, .9739720720,
              .3182435176}),
      golden("Signum EMA .95", "signum", {{"momentum", 0.95}},
             {.4371259160, -.1886229180, .0643714190, -.7653890740,
              1.0138920720, .2783235176})};
}

std::vector<Golden> muon_rows() {
  return {golden("Muon Keller K5", "muon", {},
                 {.5025486509, -.2331161085, .0712448968, -.7513730374,
                  1.0075647184, .3123036285}),
          golden("Muon Keller exact polar", "muon", {{"polar_method", "svd"s}},
                 {.5049844401, -.2277550529, .0617629892, -.7556830178,
                  1.0103094247, .3240628320}),
          golden("Moonlight K5", "muonw", {},
                 {.4985736936, -.2441509419, .1092590959, -.7471676130,
                  .9978452536, .3021917272}),
          golden("dion Muon form K5", "dion-muon",
                 {{"polar_coefficients", "keller"s},
                  {"polar_eps", 1e-7},
                  {"polar_dtype", "float64"s}},
                 {.4985368145, -.2228506088, .0753912401, -.7767863756,
                  1.0204688818, .2844204032}),
          golden("AdaMuon repo gpt2 K5", "adamuon-repo", {},
                 {.4931827268, -.2446797288, .1119098141, -.7411353410,
                  .9975844027, .3019847858}),
          golden("Muon2 K5", "muon2", {},
                 {.4914619180, -.2341623433, .1108301265, -.7543797213,
                  1.0004513173, .2944903698}),
          golden("Scion constrained K5", "scion",
                 {{"scale_factor", 1.0}, {"weight_decay", 0.0}},
                 {.4728557096, -.2076027030, .0716163286, -.7388331627,
                  .9650293148, .2654543049}),
          golden("NAMO K5", "namo", {},
                 {.4979331712, -.2376597294, .1016199752, -.7636917427,
                  1.0114851251, .2890058151})};
}

std::vector<Golden> other_rows() {
  Golden dion = golden("Dion r=1", "dion", {{"rank", 1.0}},
                       {.4847846419, -.2414588160, .0886983581, -.7241183261,
                        1.0206149414, .2952496381});
  dion.with_q0 = true;
  Golden soap =
      golden("SOAP official", "soap", {{"beta1", 0.9}, {"refresh", 1.0}},
             {.4957024756, -.2234591979, .1191105625, -.6715027266, .9590370755,
              .3253717175});
  soap.steps = 4;
  return {golden("Dion2 f=1/2 K5", "dion2", {{"fraction", 0.5}},
                 {.4955342277, -.2376188436, .1113735268, -.7460472493,
                  1.0050502539, .2979140209}),
          dion,
          golden("Muown K5", "muown", {},
                 {.4658689341, -.2277306101, .1067340656, -.7599994976,
                  1.0148598143, .3024637214}),
          soap};
}

}  // namespace

Matrix golden_weight() { return {3, 2, {.5, -.25, .125, -.75, 1, .3}}; }

std::vector<Matrix> golden_gradients(std::size_t count) {
  std::vector<Matrix> gradients = {{3, 2, {.1, -.2, .3, .4, -.5, .6}},
                                   {3, 2, {-.06, .1, .05, -.24, .2, -.4}},
                                   {3, 2, {.2, -.4, .6, -.8, 1, -1.2}},
                                   {3, 2, {-.3, .1, .2, -.5, .4, .7}}};
  gradients.resize(count);
  return gradients;
}

std::vector<Golden> golden_rows() {
  std::vector<Golden> rows = elementwise_rows();
  for (const auto& more : {muon_rows(), other_rows()}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

}  // namespace muonlab::reference
