// Functions of singular values, and what a spectrum says about a matrix.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace muonlab::linalg {

/// U f(S) V^T of the compact SVD of a (rows, cols) float32 or float64 matrix.
/// Singular values up to max(rows, cols) * eps * the largest count as zero and
/// stay so; `f` gets the others, in descending order, as a 1-d tensor of the
/// matrix's dtype and returns as many. A zero matrix gives zero without a call.
[[nodiscard]] at::Tensor spectral_map(
    const at::Tensor& matrix,
    const std::function<at::Tensor(const at::Tensor&)>& f);

struct Spectrum {
  double largest = 0;      ///< spectral norm
  double smallest = 0;     ///< of min(rows, cols) values
  double stable_rank = 0;  ///< |M|_F^2 / largest^2
  /// -(1/log n) sum p log p with p = s^2 / sum s^2 and n = min(rows, cols):
  /// 1 for a flat spectrum (Moonlight, arXiv 2502.16982). 1 for n = 1.
  double entropy = 0;
};
/// By SVD in float64. All zero for a zero matrix.
[[nodiscard]] Spectrum spectrum_of(const at::Tensor& matrix);

/// A lower bound of the largest singular value that `steps` power iterations
/// from a fixed start reach; cheap, and within a few per cent after ten.
[[nodiscard]] double spectral_norm(const at::Tensor& matrix, int steps = 10);

/// |O O^T - I|_F / sqrt(n) on the short side.
[[nodiscard]] double orthogonality_error(const at::Tensor& matrix);

}  // namespace muonlab::linalg
