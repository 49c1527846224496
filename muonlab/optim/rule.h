// Update rules as values: what a preset fills in and the optimizer runs.
//
// G is the gradient, W the weight, eta the learning rate, lambda the weight
// decay; t counts the updates from 1, msign is the polar factor.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <variant>

#include "muonlab/linalg/polar.h"
#include "muonlab/optim/scale.h"
#include "muonlab/optim/slots.h"

namespace muonlab::optim {

/// The pipeline of the matrix family, in order of execution (see slots.h).
struct MatrixRule {
  std::string name = "muon";  ///< the preset that filled it
  MomentumForm momentum_form = MomentumForm::kEma;
  double momentum = 0.95;  ///< b, in [0, 1)
  bool nesterov = true;

  PreTransform pre = PreTransform::kNone;
  double pre_beta2 = 0.95;  ///< second-moment only, in [0, 1)
  double pre_eps = 1e-8;    ///< not with none and sign, more than 0

  Direction direction = Direction::kPolar;
  PolarOptions polar = {};
  double rho = 0;  ///< power only, in [-1, 1]; 0 is the polar factor
  /// schatten only, 1 to infinity; infinity is the polar factor
  double p = std::numeric_limits<double>::infinity();
  std::int64_t k = 1;     ///< ky-fan only, 1 or more
  std::int64_t seed = 0;  ///< random-spectrum only

  PostTransform post = PostTransform::kNone;
  double post_beta2 = 0.95;  ///< second moments only, in [0, 1)
  double post_eps = 1e-8;    ///< second moments only, more than 0

  Scale scale = Scale::kAspect;
  double scale_factor = 1;   ///< multiplies the scale; Scion's radius
  double scale_eps = 0;      ///< s7 only: added to |O|
  double namo_beta2 = 0.95;  ///< namo only, in [0, 1)

  Decay decay = Decay::kDecoupled;
  /// Largest attention logit that a step leaves (QK-clip, arXiv 2507.20534);
  /// 0: no clipping.
  double qk_clip = 0;
  /// Leaves a logical matrix alone, momentum and all, whose gradient is zero.
  bool skip_zero = true;
  bool operator==(const MatrixRule&) const = default;
};

/// Adam and AdamW (arXiv 1412.6980, 1711.05101).
struct AdamRule {
  std::string name = "adamw";
  double beta1 = 0.9;   ///< in [0, 1)
  double beta2 = 0.95;  ///< in [0, 1)
  double eps = 1e-8;    ///< more than 0
  /// false: m^/(sqrt(v^) + eps), as torch; true: eps is added before the bias
  /// correction of v, as in Moonlight's and SOAP's code.
  bool eps_inside = false;
  Decay decay = Decay::kDecoupled;
  bool operator==(const AdamRule&) const = default;
};

/// B <- mu B + G; U = B, or G + mu B with Nesterov (as torch.optim.SGD).
struct SgdRule {
  std::string name = "sgd";
  double momentum = 0.9;  ///< mu, in [0, 1)
  bool nesterov = false;
  Decay decay = Decay::kL2;
  bool operator==(const SgdRule&) const = default;
};

/// U = sign(b1 m + (1-b1) G), then m <- b2 m + (1-b2) G (arXiv 2302.06675).
struct LionRule {
  std::string name = "lion";
  double beta1 = 0.9;   ///< in [0, 1)
  double beta2 = 0.99;  ///< in [0, 1)
  Decay decay = Decay::kDecoupled;
  bool operator==(const LionRule&) const = default;
};

/// m <- b m + (1-b) G; U = sign(m). b = 0 is SignSGD.
struct SignumRule {
  std::string name = "signum";
  double momentum = 0.9;  ///< b, in [0, 1)
  Decay decay = Decay::kDecoupled;
  bool operator==(const SignumRule&) const = default;
};

/// What gives a preconditioned update its length.
enum class Graft {
  kNone,
  kSgd,   ///< that of the bias-corrected momentum
  kAdam,  ///< that of Adam's update
};
[[nodiscard]] std::span<const core::Named<Graft>> grafts();

/// Shampoo (arXiv 1802.09568): L and R are bias-corrected EMAs of G G^T and
/// G^T G, U = L^-e m^ R^-e. One gradient with beta1 = beta2 = 0 and e = 1/4
/// gives msign(G).
struct ShampooRule {
  std::string name = "shampoo";
  double beta1 = 0.9;        ///< of the momentum, in [0, 1)
  double beta2 = 0.95;       ///< of L, R and the grafted Adam, in [0, 1)
  double eps = 1e-6;         ///< damping, as a share of the largest eigenvalue
  std::int64_t refresh = 1;  ///< steps between two roots, 1 or more
  double exponent = 0.25;    ///< e, in (0, 1]
  Graft graft = Graft::kAdam;
  std::int64_t max_dim = 8192;  ///< a longer side is left out and e doubles
  bool skip_zero = true;
  bool operator==(const ShampooRule&) const = default;
};

/// SOAP (arXiv 2409.11321, github.com/nikhilvyas/SOAP): Adam in the eigenbasis
/// of Shampoo's factors. The first gradient only makes the basis.
struct SoapRule {
  std::string name = "soap";
  double beta1 = 0.95;           ///< in [0, 1)
  double beta2 = 0.95;           ///< in [0, 1)
  double shampoo_beta = -1;      ///< of L and R, in [0, 1); -1: beta2
  double eps = 1e-8;             ///< more than 0
  std::int64_t refresh = 10;     ///< steps between two QR steps of the basis
  std::int64_t max_dim = 10000;  ///< a longer side keeps its own basis
  bool correct_bias = true;
  bool skip_zero = true;
  bool operator==(const SoapRule&) const = default;
};

/// Dion (arXiv 2504.05295): one warm power iteration of rank r, with error
/// feedback in the momentum.
struct DionRule {
  std::string name = "dion";
  double momentum = 0.95;    ///< mu, in [0, 1)
  double rank_fraction = 1;  ///< r = ceil(fraction * min(out, in)), in (0, 1]
  std::int64_t rank = 0;     ///< r itself; 0: by the fraction
  double eps = 1e-8;         ///< more than 0
  std::int64_t seed = 0;     ///< of the first basis
  bool skip_zero = true;
  bool operator==(const DionRule&) const = default;
};

/// Dion2 (arXiv 2512.16928): msign of the rows (or columns) with the largest
/// momentum; the others accumulate.
struct Dion2Rule {
  std::string name = "dion2";
  double momentum = 0.95;  ///< mu, of the slices that were taken, in [0, 1)
  double fraction = 0.25;  ///< of the short side that a step takes, in (0, 1]
  PolarOptions polar = {};
  bool skip_zero = true;
  bool operator==(const Dion2Rule&) const = default;
};

/// Muown (arXiv 2605.10797): W = g v/|v| by rows; Muon on v, Adam on g.
struct MuownRule {
  std::string name = "muown";
  double momentum = 0.95;  ///< EMA of v's gradient, in [0, 1)
  bool nesterov = false;
  PolarOptions polar = {};
  double beta1 = 0.9;   ///< of g, in [0, 1)
  double beta2 = 0.95;  ///< of g, in [0, 1)
  double eps = 1e-8;    ///< of g, more than 0
  bool skip_zero = true;
  bool operator==(const MuownRule&) const = default;
};

using UpdateRule =
    std::variant<MatrixRule, AdamRule, SgdRule, LionRule, SignumRule,
                 ShampooRule, SoapRule, DionRule, Dion2Rule, MuownRule>;

[[nodiscard]] const std::string& rule_name(const UpdateRule& rule);
/// True for rules that work on logical matrices, false for element-wise ones.
[[nodiscard]] bool is_matrix_rule(const UpdateRule& rule);

}  // namespace muonlab::optim
