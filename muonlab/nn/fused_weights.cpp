#include <torch/types.h>

#include <utility>

#include "muonlab/kernels/row_product.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/nn/fused_weights_internal.h"

namespace muonlab::nn {

PackedWeight::PackedWeight(at::Tensor weight, kernels::Element element)
    : weight_(std::move(weight)),
      out_(static_cast<std::size_t>(weight_.size(0))),
      in_(static_cast<std::size_t>(weight_.size(1))),
      element_(element) {}

void PackedWeight::prepare(bool backward) {
  const float* data = linalg::floats_of(weight_);
  const auto version = static_cast<std::int64_t>(weight_._version());
  const bool moved = data != seen_data_;
  seen_data_ = data;
  const auto need = [&](kernels::Packed& packed, kernels::Workspace& memory,
                        std::size_t rows, std::size_t depth) {
    if (packed.data != nullptr) return;
    const kernels::PackedShape shape(rows, depth, element_);
    memory.reserve(kernels::Workspace::rounded(shape.bytes()));
    packed = memory.take(shape);
  };
  need(rows_, rows_memory_, out_, in_);
  rows_due_ = moved || rows_version_ != version;
  rows_version_ = version;
  if (moved) columns_version_ = -1;
  columns_due_ = backward && columns_version_ != version;
  if (!backward) return;
  need(columns_, columns_memory_, in_, out_);
  columns_version_ = version;
}

void PackedWeight::refresh(std::size_t rank, std::size_t ranks) const {
  const kernels::ConstRows from{seen_data_, in_, kernels::Element::kFloat32};
  const auto part = [&](const kernels::Packed& to, auto pack) {
    const std::size_t panels = to.shape.panels();
    const std::size_t begin = panels * rank / ranks;
    const std::size_t end = panels * (rank + 1) / ranks;
    if (begin < end) pack(to, from, begin, end);
  };
  if (rows_due_) {
    part(rows_, [](const auto& to, const auto& rows, auto begin, auto end) {
      kernels::pack_rows(to, rows, begin, end);
    });
  }
  if (columns_due_) {
    part(columns_, [](const auto& to, const auto& rows, auto begin, auto end) {
      kernels::pack_columns(to, rows, begin, end);
    });
  }
}

}  // namespace muonlab::nn
