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

/// A new one-dimensional int64 or float64 CPU tensor with a copy of the values.
[[nodiscard]] at::Tensor tensor_of(std::span<const std::int64_t> values);
[[nodiscard]] at::Tensor tensor_of(std::span<const double> values);
/// The values of a tensor of any real dtype and device, widened to float64.
[[nodiscard]] std::vector<double> values_of(const at::Tensor& tensor);

}  // namespace muonlab::linalg
