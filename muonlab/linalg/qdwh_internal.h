// The QDWH iteration, for polar.cpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace muonlab::linalg {

/// msign of a (rows, cols) float32 or float64 matrix that is not zero; nullopt
/// when its rank is not full: the iteration lifts rounding noise then, which
/// only the SVD tells from a direction.
[[nodiscard]] std::optional<at::Tensor> qdwh(const at::Tensor& matrix);

}  // namespace muonlab::linalg
