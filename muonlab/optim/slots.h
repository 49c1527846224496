// The values that each slot of the matrix pipeline can take, and their names.
//
//   momentum -> pre-transform -> direction -> post-transform -> scale -> decay
//
// G is the gradient of a logical matrix W of d_out rows and d_in columns, B the
// momentum buffer, b its decay, eta the rate, lambda the decay, |.| the
// Frobenius norm, t counts the matrix's updates from 1.
#pragma once

#include <span>
#include <string_view>

#include "muonlab/core/names.h"

namespace muonlab::optim {

enum class MomentumForm {
  kEma,        ///< B <- bB + (1-b)G; Nesterov direction (1-b)G + bB
  kHeavyBall,  ///< B <- bB + G;      Nesterov direction G + bB
  /// EMA; B / (1-b^t), or with Nesterov bB/(1-b^(t+1)) + (1-b)G/(1-b^t)
  /// (optax)
  kEmaCorrected,
};

/// What happens to the direction D before it is orthogonalised.
enum class PreTransform {
  kNone,
  kSign,          ///< sign(D), sign(0) = 0 (SiMuon, AdaMuon)
  kRows,          ///< rows over sqrt(sum of squares + eps) (MuonEq-R)
  kColumns,       ///< the same for columns (MuonEq-C)
  kRowsColumns,   ///< by both, of the same D (MuonEq-RC)
  kSecondMoment,  ///< D / (sqrt(V) + eps), V an EMA of G*G (Muon^2)
};

/// The direction that the step takes, a function of the transformed D. For all
/// but the last it is the steepest descent of a norm, up to its length.
enum class Direction {
  kPolar,           ///< msign(D), by PolarOptions: spectral norm (Muon)
  kPower,           ///< U S^rho V^T with S over its largest: exact SVD
  kSchatten,        ///< unit ball of the Schatten-p norm: exact SVD
  kKyFan,           ///< U_k V_k^T of the k largest: exact SVD
  kRandomSpectrum,  ///< U diag(x) V^T, x uniform in (0, 2): a control
  kSign,            ///< sign(D): largest entry
  kRows,            ///< rows over their 2-norm: RMS to largest entry
  kColumns,         ///< columns over their 2-norm: 1-norm to RMS
  kFrobenius,       ///< D / |D|
  kNone,            ///< D itself
};

/// What happens to the orthogonalised O.
enum class PostTransform {
  kNone,
  kSecondMoment,     ///< O / (sqrt(V) + eps), V an EMA of O*O (AdaMuon)
  kRowSecondMoment,  ///< rows over their RMS history, |O| kept (NorMuon)
  kUnitNorm,         ///< O sqrt(n) / |O|, n the short side (Muon+)
  kSign,             ///< sign(O) (SignMuon)
};

/// How the decay lambda enters; U = s O is the scaled update.
enum class Decay {
  kDecoupled,     ///< W <- (1 - eta lambda) W, then W <- W - eta U
  kScaled,        ///< W <- W - eta s (O + lambda W): depends on the shape
  kAdditive,      ///< W <- W - eta (U + lambda W)
  kAfter,         ///< W <- W - eta U, then W <- (1 - eta lambda) W
  kIndependent,   ///< W <- (1 - lambda) W, whatever the rate
  kPalm,          ///< W <- (1 - eta^2 lambda) W
  kCautious,      ///< only where U * W >= 0 (arXiv 2510.12402)
  kCautiousPalm,  ///< the same with eta^2 lambda (modded-nanogpt)
  kConstrained,   ///< W <- (1 - eta) W - eta U (Scion); lambda must be 0
  kL2,            ///< G <- G + lambda W, before momentum
};

[[nodiscard]] std::span<const core::Named<MomentumForm>> momentum_forms();
[[nodiscard]] std::span<const core::Named<PreTransform>> pre_transforms();
[[nodiscard]] std::span<const core::Named<Direction>> directions();
[[nodiscard]] std::span<const core::Named<PostTransform>> post_transforms();
[[nodiscard]] std::span<const core::Named<Decay>> decays();

/// For tables: the slot as a formula, such as "W(1 - lr*wd) - lr*U".
[[nodiscard]] std::string_view formula(MomentumForm form, bool nesterov);
[[nodiscard]] std::string_view formula(PreTransform pre);
[[nodiscard]] std::string_view formula(Direction direction);
[[nodiscard]] std::string_view formula(PostTransform post);
[[nodiscard]] std::string_view formula(Decay decay);

}  // namespace muonlab::optim
