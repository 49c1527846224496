#include "muonlab/optim/options.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/linalg/polar_coefficients.h"
#include "muonlab/optim/option_builder_internal.h"

namespace muonlab::optim {

namespace {

constexpr std::array<core::Named<PolarMethod>, 5> kMethods = {
    {{PolarMethod::kNewtonSchulz, "newton-schulz"},
     {PolarMethod::kGram, "gram"},
     {PolarMethod::kAuto, "auto"},
     {PolarMethod::kSvd, "svd"},
     {PolarMethod::kQdwh, "qdwh"}}};
constexpr std::array<core::Named<PolarEps>, 2> kEpsModes = {
    {{PolarEps::kAdd, "add"}, {PolarEps::kClamp, "clamp"}}};
constexpr std::array<core::Named<PolarNorm>, 4> kNorms = {
    {{PolarNorm::kFrobenius, "frobenius"},
     {PolarNorm::kSchatten4, "schatten-4"},
     {PolarNorm::kPower, "power"},
     {PolarNorm::kAol, "aol"}}};
constexpr std::array<core::Named<PolarDtype>, 6> kDtypes = {
    {{PolarDtype::kAuto, "auto"},
     {PolarDtype::kFloat64, "float64"},
     {PolarDtype::kFloat32, "float32"},
     {PolarDtype::kBFloat16, "bfloat16"},
     {PolarDtype::kBFloat16Master, "bfloat16-master"},
     {PolarDtype::kMixed, "mixed"}}};
constexpr std::array<core::Named<Graft>, 3> kGrafts = {
    {{Graft::kNone, "none"}, {Graft::kSgd, "sgd"}, {Graft::kAdam, "adam"}}};
constexpr std::array<core::Named<bool>, 2> kEpsPlacements = {
    {{false, "outside"}, {true, "inside"}}};

void add_polar(PolarOptions& p, bool applies, OptionBuilder& b) {
  b.choice<PolarMethod>("polar_method", &p.method, kMethods,
                        "how the polar factor is found", applies);
  const bool gram = applies && (p.method == PolarMethod::kGram ||
                                p.method == PolarMethod::kAuto);
  const bool iterated =
      gram || (applies && p.method == PolarMethod::kNewtonSchulz);
  b.text(
      "polar_coefficients", &p.coefficients,
      std::string(polar_coefficients_help()),
      [&p](const std::string& text) {
        (void)polar_coefficients(text, p.steps);
      },
      "table of Newton-Schulz steps", iterated);
  b.integer("polar_steps", &p.steps, 1, 100, "Newton-Schulz steps", iterated);
  b.text(
      "polar_restarts", &p.restarts,
      "auto, none, every N, or steps such as 1,3",
      [&p](const std::string&) { (void)restart_steps(p); },
      "after which steps the Gram form restarts", gram);
  b.choice<PolarNorm>("polar_norm", &p.norm, kNorms,
                      "what the matrix is divided by first", iterated);
  b.integer("polar_power_steps", &p.power_steps, 1, 100,
            "power iterations of polar_norm",
            iterated && p.norm == PolarNorm::kPower);
  b.number("polar_eps", &p.eps, kPositiveBelowOne, "guards the first division",
           iterated);
  b.choice<PolarEps>("polar_eps_mode", &p.eps_mode, kEpsModes,
                     "eps is added to the norm, or bounds it from below",
                     iterated);
  b.choice<PolarDtype>("polar_dtype", &p.dtype, kDtypes,
                       "what the polar factor is computed in", applies);
}

void add_decay(Decay& decay, OptionBuilder& b) {
  b.choice<Decay>("decay", &decay, decays(), "how weight_decay enters");
}

void add_skip(bool& skip, OptionBuilder& b) {
  b.flag("skip_zero", &skip,
         "leave a logical matrix alone whose gradient is all zero");
}

void list(MatrixRule& r, OptionBuilder& b) {
  b.number("momentum", &r.momentum, kShare, "b, the decay of the buffer");
  b.choice<MomentumForm>("momentum_form", &r.momentum_form, momentum_forms(),
                         "how the buffer follows the gradient");
  b.flag("nesterov", &r.nesterov, "look ahead");
  b.choice<PreTransform>("pre", &r.pre, pre_transforms(),
                         "transform before the direction is found");
  b.number("pre_beta2", &r.pre_beta2, kShare, "decay of pre's second moment",
           r.pre == PreTransform::kSecondMoment);
  b.number("pre_eps", &r.pre_eps, kPositive, "epsilon of pre",
           r.pre != PreTransform::kNone && r.pre != PreTransform::kSign);
  b.choice<Direction>("direction", &r.direction, directions(),
                      "what the step follows; polar is Muon");
  add_polar(r.polar, r.direction == Direction::kPolar, b);
  b.number("rho", &r.rho, {-1, 1, false, false},
           "exponent of the singular values", r.direction == Direction::kPower);
  b.number("p", &r.p, {1, kInfinity, false, false},
           "of the Schatten norm; inf is the spectral norm",
           r.direction == Direction::kSchatten);
  b.integer("k", &r.k, 1, kLargest, "singular directions that are kept",
            r.direction == Direction::kKyFan);
  b.integer("seed", &r.seed, 0, kLargest, "of the random spectrum",
            r.direction == Direction::kRandomSpectrum);
  b.choice<PostTransform>("post", &r.post, post_transforms(),
                          "transform after the direction is found");
  const bool moment = r.post == PostTransform::kSecondMoment ||
                      r.post == PostTransform::kRowSecondMoment;
  b.number("post_beta2", &r.post_beta2, kShare, "decay of post's moment",
           moment);
  b.number("post_eps", &r.post_eps, kPositive, "epsilon of post", moment);
  b.choice<Scale>("scale", &r.scale, scales(), "length of the update");
  b.number("scale_factor", &r.scale_factor, kPositive,
           "multiplies the scale; Scion's radius");
  b.number("scale_eps", &r.scale_eps, kNotNegative, "added to |O|",
           r.scale == Scale::kExactRms);
  b.number("namo_beta2", &r.namo_beta2, kShare,
           "decay of the squared gradient norm", r.scale == Scale::kNamo);
  add_decay(r.decay, b);
  b.number("qk_clip", &r.qk_clip, kNotNegative,
           "largest attention logit that a step leaves; 0: no clipping");
  add_skip(r.skip_zero, b);
}

void add_betas(double& beta1, double& beta2, OptionBuilder& b) {
  b.number("beta1", &beta1, kShare, "decay of the first moment");
  b.number("beta2", &beta2, kShare, "decay of the second moment");
}

void list(AdamRule& r, OptionBuilder& b) {
  add_betas(r.beta1, r.beta2, b);
  b.number("eps", &r.eps, kPositive, "added to the root of the second moment");
  b.choice<bool>("eps_placement", &r.eps_inside, kEpsPlacements,
                 "eps after (outside) or before (inside) the bias correction");
  add_decay(r.decay, b);
}

void list(SgdRule& r, OptionBuilder& b) {
  b.number("momentum", &r.momentum, kShare, "decay of the heavy ball");
  b.flag("nesterov", &r.nesterov, "look ahead");
  add_decay(r.decay, b);
}

void list(LionRule& r, OptionBuilder& b) {
  b.number("beta1", &r.beta1, kShare, "share of the buffer in the direction");
  b.number("beta2", &r.beta2, kShare, "decay of the buffer");
  add_decay(r.decay, b);
}

void list(SignumRule& r, OptionBuilder& b) {
  b.number("momentum", &r.momentum, kShare, "decay of the buffer; 0: SignSGD");
  add_decay(r.decay, b);
}

void list(ShampooRule& r, OptionBuilder& b) {
  b.number("beta1", &r.beta1, kShare, "decay of the momentum");
  b.number("beta2", &r.beta2, kShare, "decay of the factors");
  b.number("eps", &r.eps, kPositiveBelowOne,
           "damping, as a share of the largest eigenvalue");
  b.integer("refresh", &r.refresh, 1, kLargest, "steps between two roots");
  b.number("exponent", &r.exponent, {0, 1, true, false},
           "of each factor's inverse root");
  b.choice<Graft>("graft", &r.graft, kGrafts, "whose length the update has");
  b.integer("max_dim", &r.max_dim, 1, kLargest,
            "a longer side is left out; the other's exponent doubles");
  add_skip(r.skip_zero, b);
}

void list(SoapRule& r, OptionBuilder& b) {
  add_betas(r.beta1, r.beta2, b);
  b.number("shampoo_beta", &r.shampoo_beta, {-1, 1, false, true},
           "decay of the factors; -1: beta2");
  b.number("eps", &r.eps, kPositive, "added to the root of the second moment");
  b.integer("refresh", &r.refresh, 1, kLargest,
            "steps between two QR steps of the basis");
  b.integer("max_dim", &r.max_dim, 1, kLargest,
            "a longer side keeps its own basis");
  b.flag("correct_bias", &r.correct_bias, "as Adam does");
  add_skip(r.skip_zero, b);
}

void list(DionRule& r, OptionBuilder& b) {
  b.number("momentum", &r.momentum, kShare, "decay of what was applied");
  b.number("rank_fraction", &r.rank_fraction, {0, 1, true, false},
           "rank, as a share of the short side", r.rank == 0);
  b.integer("rank", &r.rank, 0, kLargest, "rank itself; 0: by the fraction");
  b.number("eps", &r.eps, kPositive, "guards the columns' norms");
  b.integer("seed", &r.seed, 0, kLargest, "of the first basis");
  add_skip(r.skip_zero, b);
}

void list(Dion2Rule& r, OptionBuilder& b) {
  b.number("momentum", &r.momentum, kShare, "decay of the slices taken");
  b.number("fraction", &r.fraction, {0, 1, true, false},
           "of the short side that a step takes");
  add_polar(r.polar, true, b);
  add_skip(r.skip_zero, b);
}

void list(MuownRule& r, OptionBuilder& b) {
  b.number("momentum", &r.momentum, kShare, "decay of the directions' EMA");
  b.flag("nesterov", &r.nesterov, "look ahead");
  add_polar(r.polar, true, b);
  add_betas(r.beta1, r.beta2, b);
  b.number("eps", &r.eps, kPositive, "of the row gains' Adam");
  add_skip(r.skip_zero, b);
}

void check_together(const MatrixRule& r, std::string_view who) {
  if (r.direction == Direction::kPolar) validate(r.polar, who);
  if (r.scale == Scale::kNamo) {
    MUONLAB_CHECK(r.momentum_form == MomentumForm::kEma && !r.nesterov, who,
                  ": scale: namo measures an ema buffer without nesterov: set "
                  "momentum_form = ema and nesterov = false");
  }
  if (r.scale == Scale::kHyperball) {
    MUONLAB_CHECK(r.decay == Decay::kDecoupled, who, ": decay: got ",
                  core::name_in<Decay>(decays(), r.decay),
                  ", but scale s9 keeps the weight's norm by itself; leave "
                  "decay and weight_decay at their defaults");
  }
}

void check_together(const Dion2Rule& r, std::string_view who) {
  validate(r.polar, who);
}
void check_together(const MuownRule& r, std::string_view who) {
  validate(r.polar, who);
}

void check_elementwise(Decay decay, std::string_view who) {
  MUONLAB_CHECK(decay != Decay::kScaled && decay != Decay::kConstrained, who,
                ": decay: got ", core::name_in<Decay>(decays(), decay),
                ", which only matrix rules take");
}
void check_together(const AdamRule& r, std::string_view who) {
  check_elementwise(r.decay, who);
}
void check_together(const SgdRule& r, std::string_view who) {
  check_elementwise(r.decay, who);
}
void check_together(const LionRule& r, std::string_view who) {
  check_elementwise(r.decay, who);
}
void check_together(const SignumRule& r, std::string_view who) {
  check_elementwise(r.decay, who);
}

template <typename Rule>
void check_together(const Rule& /*rule*/, std::string_view /*who*/) {}

// One rule of every kind, for the names of all options.
const std::vector<UpdateRule>& kinds() {
  static const std::vector<UpdateRule> kKinds = {
      MatrixRule{},  AdamRule{}, SgdRule{},  LionRule{},  SignumRule{},
      ShampooRule{}, SoapRule{}, DionRule{}, Dion2Rule{}, MuownRule{}};
  return kKinds;
}

}  // namespace

std::span<const core::Named<Graft>> grafts() { return kGrafts; }

const std::string& rule_name(const UpdateRule& rule) {
  return std::visit([](const auto& r) -> const std::string& { return r.name; },
                    rule);
}

bool is_matrix_rule(const UpdateRule& rule) {
  return !std::holds_alternative<AdamRule>(rule) &&
         !std::holds_alternative<SgdRule>(rule) &&
         !std::holds_alternative<LionRule>(rule) &&
         !std::holds_alternative<SignumRule>(rule);
}

std::vector<Option> options_of(UpdateRule& rule) {
  OptionBuilder builder;
  std::visit([&](auto& r) { list(r, builder); }, rule);
  return builder.take();
}

void set_options(UpdateRule& rule, const OptionMap& values,
                 std::string_view prefix) {
  UpdateRule changed = rule;
  std::vector<Option> table = options_of(changed);
  std::vector<std::string> known;
  for (const Option& option : table) known.push_back(option.name);
  for (const auto& [name, value] : values) {
    const auto found =
        std::find_if(table.begin(), table.end(),
                     [&](const Option& o) { return o.name == name; });
    MUONLAB_CHECK(found != table.end(), prefix, name, ": rule '",
                  rule_name(rule), "' has no such option",
                  core::suggestion(name, known));
    found->set(value, concat(prefix, name));
  }
  // Once more: what applies depends on the values.
  for (const Option& option : options_of(changed)) {
    MUONLAB_CHECK(option.applies || values.count(option.name) == 0, prefix,
                  option.name,
                  ": has no effect with the other options of rule '",
                  rule_name(rule), "'; remove it");
  }
  for (const Option& option : options_of(changed)) {
    option.check(concat(prefix, option.name));
  }
  validate_rule(changed, prefix);
  rule = std::move(changed);
}

OptionMap option_values(const UpdateRule& rule) {
  UpdateRule copy = rule;
  OptionMap values;
  for (const Option& option : options_of(copy)) {
    if (option.applies) values.emplace(option.name, option.get());
  }
  return values;
}

const std::vector<std::string>& option_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (UpdateRule rule : kinds()) {
      for (const Option& option : options_of(rule)) {
        if (std::find(names.begin(), names.end(), option.name) == names.end()) {
          names.push_back(option.name);
        }
      }
    }
    return names;
  }();
  return kNames;
}

OptionHelp option_help(std::string_view name) {
  for (UpdateRule rule : kinds()) {
    for (const Option& option : options_of(rule)) {
      if (option.name == name) return {option.kind, option.about};
    }
  }
  throw Error(ErrorKind::kInternal, concat("no option '", name, "'"));
}

void validate_rule(const UpdateRule& rule, std::string_view who) {
  UpdateRule copy = rule;
  for (const Option& option : options_of(copy)) {
    option.check(concat(who, ": ", option.name));
  }
  std::visit([&](const auto& r) { check_together(r, who); }, rule);
}

}  // namespace muonlab::optim
