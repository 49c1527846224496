#include "muonlab/optim/presets.h"

#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::optim {

namespace {

MatrixRule keller() { return {}; }

MatrixRule moonlight() {
  MatrixRule r;
  r.momentum_form = MomentumForm::kHeavyBall;
  r.scale = Scale::kMatchRms;
  return r;
}

// EMA without Nesterov under the AdamW-like scale.
MatrixRule plain_ema() {
  MatrixRule r;
  r.nesterov = false;
  r.scale = Scale::kMatchRms;
  return r;
}

MatrixRule torch_muon() {
  MatrixRule r = keller();
  r.polar.eps_mode = PolarEps::kClamp;
  r.polar.dtype = PolarDtype::kBFloat16;
  r.skip_zero = false;
  return r;
}

MatrixRule simuon() {
  MatrixRule r = moonlight();
  r.nesterov = false;
  r.pre = PreTransform::kSign;
  return r;
}

MatrixRule adamuon_paper() {
  MatrixRule r = simuon();
  r.post = PostTransform::kSecondMoment;
  r.scale = Scale::kExactRms;
  return r;
}

MatrixRule adamuon_repo() {
  MatrixRule r = adamuon_paper();
  r.momentum_form = MomentumForm::kEma;
  r.nesterov = true;
  r.scale_eps = 1e-8;
  r.skip_zero = false;
  return r;
}

MatrixRule normuon_with(Scale scale) {
  MatrixRule r = keller();
  r.post = PostTransform::kRowSecondMoment;
  r.post_eps = 1e-10;
  r.scale = scale;
  return r;
}

MatrixRule with_pre(PreTransform pre) {
  MatrixRule r = plain_ema();
  r.pre = pre;
  return r;
}

MatrixRule muonh() {
  MatrixRule r = moonlight();
  r.scale = Scale::kHyperball;
  return r;
}

MatrixRule scion(Decay decay) {
  MatrixRule r;
  r.momentum = 0.9;  // Scion's "momentum" is 1 - b = .1
  r.nesterov = false;
  r.scale = Scale::kRadius;
  r.scale_factor = 50;
  r.decay = decay;
  return r;
}

MatrixRule polargrad() {
  MatrixRule r;
  r.nesterov = false;
  r.polar.method = PolarMethod::kQdwh;
  r.scale = Scale::kNuclear;
  return r;
}

MatrixRule namo() {
  MatrixRule r;
  r.nesterov = false;
  r.scale = Scale::kNamo;
  r.decay = Decay::kScaled;
  return r;
}

MatrixRule dion_muon() {
  MatrixRule r;
  r.momentum_form = MomentumForm::kHeavyBall;
  r.nesterov = false;
  r.polar.coefficients = "polar-express-modded";
  r.polar.eps = 1e-8;
  r.polar.dtype = PolarDtype::kBFloat16;
  r.scale = Scale::kSpectral;
  r.skip_zero = false;
  return r;
}

MatrixRule with_muonw_clip() {
  MatrixRule r = moonlight();
  r.qk_clip = 100;
  return r;
}

MatrixRule cautious() {
  MatrixRule r = keller();
  r.decay = Decay::kCautious;
  return r;
}

MatrixRule muon_plus() {
  MatrixRule r = keller();
  r.post = PostTransform::kUnitNorm;
  return r;
}

MatrixRule with_direction(Direction direction) {
  MatrixRule r = keller();
  r.direction = direction;
  if (direction == Direction::kPower) r.rho = 0.125;
  return r;
}

std::vector<Preset> all_presets() {
  std::vector<Preset> all;
  const auto add = [&](const char* name, UpdateRule rule, double lr,
                       double weight_decay, const char* about,
                       const char* source) {
    std::visit([&](auto& r) { r.name = name; }, rule);
    all.push_back(
        {name, about, source, GroupOptions(std::move(rule), lr, weight_decay)});
  };
  add("muon", keller(), 0.02, 0, "Muon as its author codes it",
      "github.com/KellerJordan/Muon");
  add("torch-muon", torch_muon(), 1e-3, 0.1,
      "as torch.optim.Muon computes: bfloat16 iteration, eps as a lower bound",
      "PyTorch 2.9 and later");
  add("muonw", moonlight(), 1e-3, 0.1,
      "Muon with decay and AdamW's update length (Moonlight)",
      "arXiv 2502.16982");
  add("muonclip", with_muonw_clip(), 1e-3, 0.1,
      "MuonW that rescales query and key heads whose logits grow (Kimi K2)",
      "arXiv 2507.20534");
  add("muon-cautious", cautious(), 0.02, 0.1,
      "Muon that decays only where the update shrinks the weight too",
      "arXiv 2510.12402");
  add("muon-plus", muon_plus(), 0.02, 0,
      "Muon with the norm of the update set exactly", "arXiv 2602.21545");
  add("muonh", muonh(), 0.02, 0,
      "Muon on the sphere: each matrix keeps its initial norm",
      "arXiv 2606.16899");
  add("simuon", simuon(), 1e-3, 0.1, "the polar factor of the momentum's signs",
      "the study that this project starts from");
  add("adamuon", adamuon_paper(), 6e-4, 0.1,
      "SiMuon with a second moment of the update, RMS .2 (paper)",
      "arXiv 2507.11005");
  add("adamuon-repo", adamuon_repo(), 6e-4, 0.1,
      "AdaMuon as its repository codes it", "github.com/Chongjie-Si/AdaMuon");
  add("normuon", normuon_with(Scale::kAspect), 0.02, 0,
      "Muon with rows brought to an equal length",
      "github.com/zichongli5/NorMuon");
  add("normuon-paper", normuon_with(Scale::kExactRms), 1e-3, 0.1,
      "NorMuon with an update RMS of .2, as the paper has it",
      "arXiv 2510.05491");
  add("muoneq-r", with_pre(PreTransform::kRows), 1e-3, 0.1,
      "Muon of the row-equilibrated momentum", "arXiv 2603.28254");
  add("muoneq-c", with_pre(PreTransform::kColumns), 1e-3, 0.1,
      "Muon of the column-equilibrated momentum", "arXiv 2603.28254");
  add("muoneq-rc", with_pre(PreTransform::kRowsColumns), 1e-3, 0.1,
      "Muon of the momentum equilibrated on both sides", "arXiv 2603.28254");
  add("muon2", with_pre(PreTransform::kSecondMoment), 1e-3, 0.1,
      "Muon of the momentum over the root of its second moment",
      "arXiv 2604.09967");
  add("namo", namo(), 1e-3, 0.1, "Muon with Adam's length, one per matrix",
      "arXiv 2602.17080");
  add("polargrad", polargrad(), 0.02, 0,
      "steepest descent in the spectral norm: the step falls with the gradient",
      "arXiv 2505.21799");
  add("scion", scion(Decay::kConstrained), 0x1p-12, 0,
      "Scion's hidden layers: stays in a ball of the spectral norm",
      "arXiv 2502.07529");
  add("scion-unconstrained", scion(Decay::kDecoupled), 0x1p-12, 0,
      "Scion's hidden layers without the ball", "arXiv 2502.07529");
  add("dion-muon", dion_muon(), 0.01, 0.01,
      "Muon as microsoft/dion codes it: heavy ball, Polar Express",
      "github.com/microsoft/dion");
  add("schatten", with_direction(Direction::kSchatten), 0.02, 0,
      "steepest descent in a Schatten norm; p = inf is Muon",
      "arXiv 2605.11181 and others");
  add("power", with_direction(Direction::kPower), 0.02, 0,
      "singular values to the power rho; rho = 0 is Muon", "arXiv 2603.10067");
  add("random-spectrum", with_direction(Direction::kRandomSpectrum), 0.02, 0,
      "a control: Muon's singular vectors under random singular values",
      "arXiv 2605.11181");
  add("muown", MuownRule{}, 1e-3, 0.1,
      "Muon on the rows' directions, Adam on their lengths",
      "arXiv 2605.10797");
  add("dion", DionRule{}, 0.01, 0.01,
      "low-rank orthonormal updates with error feedback", "arXiv 2504.05295");
  add("dion2", Dion2Rule{}, 0.01, 0.01,
      "Muon on the rows or columns of the largest momentum",
      "arXiv 2512.16928");
  add("shampoo", ShampooRule{}, 1e-3, 0.1,
      "two-sided preconditioning with grafting", "arXiv 1802.09568");
  add("soap", SoapRule{}, 3e-3, 0.01, "Adam in the eigenbasis of Shampoo",
      "github.com/nikhilvyas/SOAP");
  add("adamw", AdamRule{}, 1e-3, 0.1, "AdamW with the betas of language models",
      "arXiv 1711.05101");
  AdamRule adam;
  adam.beta2 = 0.999;
  adam.decay = Decay::kL2;
  add("adam", adam, 1e-3, 0, "Adam, decay in the gradient", "arXiv 1412.6980");
  add("sgd", SgdRule{}, 0.01, 0, "SGD with momentum", "torch.optim.SGD");
  add("lion", LionRule{}, 1e-4, 1, "sign of an interpolated momentum",
      "arXiv 2302.06675");
  add("signum", SignumRule{}, 1e-4, 0.1, "sign of the momentum",
      "arXiv 1802.04434");
  return all;
}

void check_without_decay(const MatrixRule& r, double weight_decay,
                         std::string_view who) {
  const bool own =
      r.decay == Decay::kConstrained || r.scale == Scale::kHyperball;
  MUONLAB_CHECK(!own || weight_decay == 0, who, ": weight_decay: got ",
                weight_decay, ", expected 0: ",
                r.scale == Scale::kHyperball
                    ? "scale s9 keeps the weight's norm by itself"
                    : "decay 'constrained' shrinks by the rate alone");
}

template <typename Rule>
void check_without_decay(const Rule& /*rule*/, double /*decay*/,
                         std::string_view /*who*/) {}

}  // namespace

const std::vector<Preset>& presets() {
  static const std::vector<Preset> kPresets = all_presets();
  return kPresets;
}

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const Preset& p : presets()) names.push_back(p.name);
    return names;
  }();
  return kNames;
}

const Preset& find_preset(std::string_view name) {
  for (const Preset& p : presets()) {
    if (p.name == name) return p;
  }
  throw Error(ErrorKind::kInvalidArgument,
              concat("optim: no rule '", name, "'",
                     core::suggestion(name, preset_names())));
}

GroupOptions preset(std::string_view name) { return find_preset(name).options; }

GroupOptions merged(const GroupOptions& defaults,
                    const GroupOverrides& overrides, std::string_view who) {
  GroupOptions options =
      overrides.rule ? preset(*overrides.rule) : GroupOptions(defaults);
  if (overrides.lr) options.lr(*overrides.lr);
  if (overrides.weight_decay) options.weight_decay(*overrides.weight_decay);
  set_options(options.update(), overrides.options, concat(who, ": "));
  validate(options, who);
  return options;
}

void validate(const GroupOptions& options, std::string_view who) {
  // Written so that NaN fails too.
  MUONLAB_CHECK(options.lr() >= 0 && std::isfinite(options.lr()), who,
                ": lr: got ", options.lr(), ", expected 0 or more");
  MUONLAB_CHECK(
      options.weight_decay() >= 0 && std::isfinite(options.weight_decay()), who,
      ": weight_decay: got ", options.weight_decay(), ", expected 0 or more");
  validate_rule(options.update(), who);
  std::visit(
      [&](const auto& r) {
        check_without_decay(r, options.weight_decay(), who);
      },
      options.update());
}

GroupOptions muon() { return preset("muon"); }
GroupOptions muonw() { return preset("muonw"); }
GroupOptions adamuon() { return preset("adamuon"); }
GroupOptions normuon() { return preset("normuon"); }
GroupOptions adamw() { return preset("adamw"); }
GroupOptions sgd() { return preset("sgd"); }
GroupOptions lion() { return preset("lion"); }
GroupOptions soap() { return preset("soap"); }

}  // namespace muonlab::optim
