// The polar factor: msign(M) = U V^T of the compact SVD M = U S V^T.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace at {
class Tensor;
}

namespace muonlab {

enum class PolarMethod {
  kNewtonSchulz,  ///< quintic iteration X <- aX + (bA + cA^2)X, A = XX^T
  kSvd,  ///< exact; singular values below max(m,n)*eps*s1 count as zero
};

/// One quintic step acts on each singular value as a*s + b*s^3 + c*s^5.
struct Quintic {
  double a = 0, b = 0, c = 0;
  bool operator==(const Quintic&) const = default;
};

/// Named coefficient sets: "keller" (K. Jordan's Muon: does not converge,
/// leaves singular values in about [0.68, 1.13]) and "taylor" (15/8, -5/4,
/// 3/8: converges). Throws Error(kInvalidArgument) on another name.
[[nodiscard]] Quintic quintic_coefficients(std::string_view name);
[[nodiscard]] const std::vector<std::string>& quintic_names();

struct PolarOptions {
  PolarMethod method = PolarMethod::kNewtonSchulz;
  std::string coefficients = "keller";
  int steps = 5;      ///< Newton-Schulz steps, 1 to 100
  double eps = 1e-7;  ///< X0 = M / (|M|_F + eps); 0 is refused
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
