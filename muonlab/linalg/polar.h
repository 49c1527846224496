// The polar factor: msign(M) = U V^T of the compact SVD M = U S V^T.
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
};

/// What the iteration computes in. The result comes back in the argument's own
/// dtype.
enum class PolarDtype {
  kAuto,     ///< the argument's: float64 or float32
  kFloat64,  ///< for references
  kFloat32,
  kBFloat16,  ///< as K. Jordan's and torch.optim's Muon iterate
};

/// How eps guards the division by the norm.
enum class PolarEps {
  kAdd,    ///< X0 = M / (safety |M|_F + eps)      (K. Jordan)
  kClamp,  ///< X0 = M / max(safety |M|_F, eps)    (torch.optim.Muon)
};

struct PolarOptions {
  PolarMethod method = PolarMethod::kNewtonSchulz;
  std::string coefficients = "keller";  ///< a name of polar_table()
  int steps = 5;                        ///< Newton-Schulz steps, 1 to 100
  double eps = 1e-7;                    ///< see PolarEps; 0 is refused
  PolarEps eps_mode = PolarEps::kAdd;
  PolarDtype dtype = PolarDtype::kAuto;
  bool operator==(const PolarOptions&) const = default;
};

/// Throws Error(kInvalidArgument) naming the field; `who` begins the message.
void validate(const PolarOptions& options, std::string_view who);

/// The polar factor of a (rows, cols) matrix of f32 or f64, in its own dtype.
/// Computed on the short side, so tall and wide matrices cost the same. A zero
/// matrix gives zero. The argument is not changed. Throws
/// Error(kInvalidArgument) on another rank or dtype.
[[nodiscard]] at::Tensor polar_factor(const at::Tensor& matrix,
                                      const PolarOptions& options = {});

}  // namespace muonlab
