// Weights in the form that the products read: for x W^T and, where gradients
// are wanted, for dy W. Refreshed when a weight has changed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "muonlab/kernels/packed.h"

namespace muonlab::nn {

class PackedWeight {
 public:
  PackedWeight(at::Tensor weight, kernels::Element element);

  /// Takes memory for what `backward` needs and notes whether it is out of
  /// date. One thread.
  void prepare(bool backward);
  /// Part `rank` of `ranks` of what prepare() found to be done. All threads.
  void refresh(std::size_t rank, std::size_t ranks) const;
  [[nodiscard]] bool stale() const noexcept {
    return rows_due_ || columns_due_;
  }

  /// (out, in): the right side of x W^T.
  [[nodiscard]] const kernels::Packed& rows() const noexcept { return rows_; }
  /// (in, out): the right side of dy W.
  [[nodiscard]] const kernels::Packed& columns() const noexcept {
    return columns_;
  }
  [[nodiscard]] std::size_t out() const noexcept { return out_; }
  [[nodiscard]] std::size_t in() const noexcept { return in_; }
  [[nodiscard]] const at::Tensor& weight() const noexcept { return weight_; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return rows_memory_.capacity() + columns_memory_.capacity();
  }

 private:
  at::Tensor weight_;
  std::size_t out_;
  std::size_t in_;
  kernels::Element element_;
  kernels::Workspace rows_memory_;
  kernels::Workspace columns_memory_;
  kernels::Packed rows_;
  kernels::Packed columns_;
  const float* seen_data_ = nullptr;
  std::int64_t rows_version_ = -1;
  std::int64_t columns_version_ = -1;
  bool rows_due_ = false;
  bool columns_due_ = false;
};

}  // namespace muonlab::nn
