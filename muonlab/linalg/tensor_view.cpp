#include "muonlab/linalg/tensor_view.h"

#include <ATen/ATen.h>

#include <cstring>

#include "muonlab/core/error.h"

namespace muonlab::linalg {

namespace {

void check_plain(const at::Tensor& tensor) {
  MUONLAB_CHECK(tensor.defined(), "tensor view: the tensor is undefined");
  MUONLAB_CHECK(tensor.device().is_cpu(), "tensor view: got a tensor on ",
                tensor.device().str(), ", expected one on the CPU");
  MUONLAB_CHECK(tensor.is_contiguous(),
                "tensor view: got a tensor that is not contiguous");
}

template <typename Value>
at::Tensor copy_of(std::span<const Value> values, at::ScalarType type) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())},
                                at::TensorOptions().dtype(type));
  if (!values.empty()) {
    std::memcpy(tensor.data_ptr(), values.data(), values.size_bytes());
  }
  return tensor;
}

}  // namespace

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  check_plain(tensor);
  return {static_cast<const std::byte*>(tensor.const_data_ptr()),
          tensor.nbytes()};
}

std::span<std::byte> mutable_bytes_of(at::Tensor& tensor) {
  check_plain(tensor);
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

namespace {

void check_floats(const at::Tensor& tensor) {
  check_plain(tensor);
  MUONLAB_CHECK(tensor.scalar_type() == at::kFloat, "tensor view: got dtype ",
                c10::toString(tensor.scalar_type()), ", expected float32");
}

// Backward would otherwise take overwritten weights for those it saved.
void tell_autograd(at::Tensor& tensor) {
  if (!tensor.is_inference()) tensor.unsafeGetTensorImpl()->bump_version();
}

}  // namespace

const float* floats_of(const at::Tensor& tensor) {
  check_floats(tensor);
  return tensor.const_data_ptr<float>();
}

float* mutable_floats_of(at::Tensor& tensor) {
  check_floats(tensor);
  tell_autograd(tensor);
  return tensor.mutable_data_ptr<float>();
}

bool has_matrix_memory(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().is_cpu() &&
         tensor.layout() == at::kStrided && tensor.dim() == 2 &&
         tensor.scalar_type() == at::kFloat &&
         (tensor.size(1) <= 1 || tensor.stride(1) == 1) &&
         (tensor.size(0) <= 1 || tensor.stride(0) >= tensor.size(1));
}

namespace {

template <typename Float>
MatrixMemory<Float> memory_of(const at::Tensor& tensor, Float* data) {
  const auto stride = tensor.size(0) <= 1 ? tensor.size(1) : tensor.stride(0);
  return {data, static_cast<std::size_t>(tensor.size(0)),
          static_cast<std::size_t>(tensor.size(1)),
          static_cast<std::size_t>(stride)};
}

void check_matrix(const at::Tensor& tensor) {
  MUONLAB_CHECK(has_matrix_memory(tensor),
                "tensor view: expected a float32 matrix with dense rows on the "
                "CPU");
}

}  // namespace

MatrixMemory<const float> matrix_of(const at::Tensor& tensor) {
  check_matrix(tensor);
  return memory_of(tensor, tensor.const_data_ptr<float>());
}

MatrixMemory<float> mutable_matrix_of(at::Tensor& tensor) {
  check_matrix(tensor);
  tell_autograd(tensor);
  return memory_of(tensor, tensor.mutable_data_ptr<float>());
}

at::Tensor tensor_of(std::span<const std::int64_t> values) {
  return copy_of(values, at::kLong);
}

at::Tensor tensor_of(std::span<const double> values) {
  return copy_of(values, at::kDouble);
}

std::vector<double> values_of(const at::Tensor& tensor) {
  const at::Tensor plain =
      tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto* first = static_cast<const double*>(plain.const_data_ptr());
  return {first, first + plain.numel()};
}

}  // namespace muonlab::linalg
