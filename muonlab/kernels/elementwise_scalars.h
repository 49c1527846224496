// What the element-wise kernels take besides pointers. The caller computes each
// scalar in float64 and rounds it once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace muonlab::kernels {

/// The gradient that a rule sees: G = scale g + l2 W. A factor for clipping,
/// and the decay that enters by the gradient. Without l2 W is not read.
struct GradientTerm {
  float scale = 1;
  float l2 = 0;
};

/// How a direction U changes a weight: W <- keep W - step U, with step >= 0.
/// Cautious: W keeps all of itself where U W < 0 (W before the step).
struct Coupling {
  float keep = 1;
  float step = 0;
  bool cautious = false;
};

/// m <- m + (1-b1)(G-m), v <- b2 v + (1-b2) G^2,
/// W <- keep W - step m / (sqrt(v) / root_correction + eps).
/// For Adam at update t: step = lr / (1-b1^t), root_correction =
/// sqrt(1-b2^t). With eps before the bias correction: root_correction = 1 and
/// step = lr sqrt(1-b2^t) / (1-b1^t).
struct AdamScalars {
  float beta1 = 0;
  float one_minus_beta1 = 1;
  float beta2 = 0;
  float one_minus_beta2 = 1;
  float root_correction = 1;
  float eps = 0;
  GradientTerm gradient = {};
  Coupling coupling = {};
};

/// U = sign(b1 m + (1-b1) G), m <- b2 m + (1-b2) G.
struct LionScalars {
  float beta1 = 0;
  float one_minus_beta1 = 1;
  float beta2 = 0;
  float one_minus_beta2 = 1;
  GradientTerm gradient = {};
  Coupling coupling = {};
};

/// m <- b m + G; U = m, or G + b m with Nesterov.
struct SgdScalars {
  float momentum = 0;
  bool nesterov = false;
  GradientTerm gradient = {};
  Coupling coupling = {};
};

/// m <- b m + (1-b) G; U = sign(m).
struct SignumScalars {
  float momentum = 0;
  float one_minus_momentum = 1;
  GradientTerm gradient = {};
  Coupling coupling = {};
};

enum class MomentumKind : std::uint8_t {
  kHeavyBall,      ///< B <- b B + G; D = B, or G + b B with Nesterov
  kEma,            ///< B <- B + (1-b)(G-B); D = B, or G + b(B-G)
  kBiasCorrected,  ///< B as kEma; D = B / correction, or
                   ///< buffer_share B + gradient_share G
};

/// The buffer B and the direction D of a matrix rule, as momentum.h of optim.
struct MomentumScalars {
  MomentumKind kind = MomentumKind::kEma;
  bool nesterov = false;
  bool sign = false;  ///< writes sign(D)
  float momentum = 0;
  float one_minus_momentum = 1;
  float correction = 1;      ///< 1 - b^t
  float buffer_share = 1;    ///< b / (1 - b^(t+1))
  float gradient_share = 0;  ///< (1-b) / (1 - b^t)
  GradientTerm gradient = {};
};

/// v <- b v + (1-b) O^2; U = O / (sqrt(v) + eps).
struct SecondMomentScalars {
  float beta = 0;
  float one_minus_beta = 1;
  float eps = 0;
};

}  // namespace muonlab::kernels
