// The polar factor: msign(M) = U V^T of the compact SVD M = U S V^T.
//
// docs/polar.md compares the methods, precisions and tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "muonlab/linalg/polar_table.h"

namespace at {
class Tensor;
}

namespace muonlab {

enum class PolarMethod {
  kNewtonSchulz,  ///< quintic iteration X <- aX + (bA + cA^2)X, A = XX^T
  kSvd,   ///< exact; singular values below max(m,n)*eps*s1 count as zero
  kQdwh,  ///< exact, by a Halley iteration with QR (Nakatsukasa, Bai, Gygi
          ///< 2010); the SVD takes over where the rank is not full
  /// The same polynomials on the n x n side (Dao-AILab, Gram Newton-Schulz):
  /// R = XX^T, Q = I; each step Z = bR + cR^2, Q <- QZ + aQ,
  /// R <- (Z + aI) R (Z + aI); at the end X <- QX. Equal to Newton-Schulz in
  /// exact arithmetic; cheaper from m = 2n on, equal at m = n. It squares the
  /// condition number, hence `restarts`.
  kGram,
  /// kNewtonSchulz or kGram, whichever was measured to be faster on this
  /// machine at this shape, in a precision that the dtype allows:
  /// chosen_polar(). Another machine may compute other bits: for work that must
  /// repeat elsewhere name a method.
  kAuto,
};

/// What the iteration computes in. The result comes back in the argument's own
/// dtype. Sums are float32 at least in all of them. On CUDA, float32 products
/// follow PyTorch's switch for TF32, which is off by default.
enum class PolarDtype {
  kAuto,     ///< the argument's: float64 or float32
  kFloat64,  ///< for references
  kFloat32,
  kBFloat16,  ///< as K. Jordan's and torch.optim's Muon iterate
  /// Newton-Schulz only: the products' operands are rounded to bfloat16, X
  /// itself stays in float32 beside them, so small directions survive.
  kBFloat16Master,
  /// Gram only: the long products XX^T and QX take X and Q rounded to
  /// bfloat16, everything of size n x n is float32.
  kMixed,
};

/// What M is divided by, so that no singular value exceeds 1 by much. Each is
/// multiplied by the table's safety.
enum class PolarNorm {
  kFrobenius,  ///< |M|_F: a bound, loose by the root of the stable rank
  kSchatten4,  ///< |MM^T|_F^(1/2): a bound, tighter; one product
  /// 1.02 times what `power_steps` power iterations on MM^T, from eight starts
  /// at once, reach: nearly tight, but no bound. Ten steps fell short by at
  /// most 2.5 per cent on Gaussian, low-rank and nearly flat spectra, four by
  /// 8; tables that overshoot 1 need that room.
  kPower,
  /// Each row of the short side by the root of its sum in |MM^T| (Turbo-Muon,
  /// arXiv 2512.04632): a bound, tight for nearly orthogonal rows. The result
  /// is the polar factor of the rescaled matrix, not of M. Rows for square
  /// matrices, so there it does not follow transposes.
  kAol,
};

/// How eps guards the division by the norm.
enum class PolarEps {
  kAdd,    ///< X0 = M / (safety |M| + eps)      (K. Jordan)
  kClamp,  ///< X0 = M / max(safety |M|, eps)    (torch.optim.Muon)
};

struct PolarOptions {
  PolarMethod method = PolarMethod::kNewtonSchulz;
  /// A name of polar_table(), rows or a generator: see polar_coefficients().
  std::string coefficients = "keller";
  int steps = 5;      ///< of newton-schulz and gram, 1 to 100
  double eps = 1e-7;  ///< see PolarEps; 0 is refused
  PolarEps eps_mode = PolarEps::kAdd;
  PolarDtype dtype = PolarDtype::kAuto;
  /// After which steps the Gram form restarts (X <- QX, R <- XX^T, Q <- I),
  /// which resets what rounding did to R: "auto", "none", a list such as "2" or
  /// "1,3", or "every 2". See restart_steps().
  std::string restarts = "auto";
  PolarNorm norm = PolarNorm::kFrobenius;
  int power_steps = 10;  ///< of PolarNorm::kPower, 1 to 100
  bool operator==(const PolarOptions&) const = default;
};

/// Throws Error(kInvalidArgument) naming the field; `who` begins the message.
void validate(const PolarOptions& options, std::string_view who);

/// The steps, counted from 1 and ascending, after which the Gram form restarts.
/// "auto" is step 2 up to five steps and every second step beyond, where one
/// restart was measured not to be enough; in bfloat16, whose usable range is
/// narrower, steps 1 and 3 up to five steps and every step beyond. A restart
/// after the last step would do nothing: "auto" and "every" leave it out, a
/// list with it is refused. Throws Error(kInvalidArgument) on such a list and
/// on other text.
[[nodiscard]] std::vector<int> restart_steps(const PolarOptions& options);

/// The polar factor of a (rows, cols) matrix of f32 or f64, or of each matrix
/// of a (..., rows, cols) batch, in its own dtype and on its own device; a
/// batch runs as batched products and equals single calls up to rounding.
/// Computed on the short side, so tall and wide matrices cost the same.
///
/// A zero matrix gives zero, also within a batch. The size of the entries does
/// not matter beyond eps: norms are taken after scaling by a power of two where
/// squares could overflow or underflow (of subnormal entries as many digits
/// count as they have). A matrix with a NaN or an infinity gives NaN
/// throughout, other members of its batch are not touched. The argument is not
/// changed. Throws Error(kInvalidArgument) on fewer dimensions or another
/// dtype.
[[nodiscard]] at::Tensor polar_factor(const at::Tensor& matrix,
                                      const PolarOptions& options = {});

}  // namespace muonlab
