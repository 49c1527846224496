// The only door between LibTorch tensors and plain memory: nothing else in
// muonlab asks a tensor for its address.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace muonlab::linalg {

/// The memory of a dense CPU tensor in C order. Throws Error(kInvalidArgument)
/// when the tensor is undefined, on another device, or not contiguous. Valid
/// while the tensor's storage lives.
[[nodiscard]] std::span<const std::byte> bytes_of(const at::Tensor& tensor);

/// Same, for writing; a caller that writes must own the tensor, since autograd
/// is not told.
[[nodiscard]] std::span<std::byte> mutable_bytes_of(at::Tensor& tensor);

/// The same for float32 tensors, as values; throw Error(kInvalidArgument) on
/// another dtype. The second tells autograd: the version counter goes up.
[[nodiscard]] const float* floats_of(const at::Tensor& tensor);
[[nodiscard]] float* mutable_floats_of(at::Tensor& tensor);

/// The memory of a (rows, columns) float32 tensor on the CPU whose rows are
/// dense, `stride` floats apart: a contiguous tensor or a run of its rows.
template <typename Float>
struct MatrixMemory {
  Float* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;
};
/// True when matrix_of() takes it.
[[nodiscard]] bool has_matrix_memory(const at::Tensor& tensor);
/// Throw Error(kInvalidArgument) on any other tensor. Writing through the
/// second is seen by autograd: the version counter goes up by one.
[[nodiscard]] MatrixMemory<const float> matrix_of(const at::Tensor& tensor);
[[nodiscard]] MatrixMemory<float> mutable_matrix_of(at::Tensor& tensor);

/// A new one-dimensional int64 or float64 CPU tensor with a copy of the values.
[[nodiscard]] at::Tensor tensor_of(std::span<const std::int64_t> values);
[[nodiscard]] at::Tensor tensor_of(std::span<const double> values);
/// The values of a tensor of any real dtype and device, widened to float64.
[[nodiscard]] std::vector<double> values_of(const at::Tensor& tensor);

}  // namespace muonlab::linalg
