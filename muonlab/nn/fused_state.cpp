#include "muonlab/nn/fused_state_internal.h"

#include <algorithm>

#include "muonlab/kernels/attention.h"
#include "muonlab/kernels/row_product.h"

namespace muonlab::nn {

namespace {

// Counts first, then hands out.
class Layout {
 public:
  explicit Layout(kernels::Workspace* space) : space_(space) {}

  std::byte* bytes(std::size_t count) {
    total_ += kernels::Workspace::rounded(count);
    return space_ == nullptr ? nullptr : space_->take(count);
  }
  float* floats(std::size_t count) {
    return reinterpret_cast<float*>(bytes(count * sizeof(float)));
  }
  [[nodiscard]] std::size_t total() const { return total_; }

 private:
  kernels::Workspace* space_;
  std::size_t total_ = 0;
};

BlockMemory take_block(const PassSizes& s, bool qk_norm, Layout& layout) {
  const std::size_t element = kernels::bytes_of(s.element);
  BlockMemory block;
  block.middle = layout.floats(s.rows * s.width);
  block.qkv = layout.bytes(s.rows * 3 * s.width * element);
  block.mixed = layout.bytes(s.rows * s.width * element);
  block.up = layout.bytes(s.rows * s.up * element);
  block.lse = layout.floats(s.rows * s.heads);
  block.first_inverse = layout.floats(s.rows);
  block.second_inverse = layout.floats(s.rows);
  if (qk_norm) block.heads_inverse = layout.floats(s.rows * 2 * s.heads);
  return block;
}

PassMemory take_all(const PassSizes& s, std::size_t threads, bool qk_norm,
                    Layout& layout) {
  const std::size_t element = kernels::bytes_of(s.element);
  PassMemory m;
  const bool keep = s.backward && !s.checkpointing;
  const BlockMemory shared =
      keep ? BlockMemory() : take_block(s, qk_norm, layout);
  // In a forward pass two buffers take turns.
  float* turns[2] = {nullptr, nullptr};
  for (std::size_t layer = 0; layer < s.layers; ++layer) {
    BlockMemory block = keep ? take_block(s, qk_norm, layout) : shared;
    if (s.backward || layer < 2) {
      block.x = layout.floats(s.rows * s.width);
      if (!s.backward) turns[layer] = block.x;
    } else {
      block.x = turns[layer % 2];
    }
    m.blocks.push_back(block);
  }
  m.out = layout.floats(s.rows * s.width);
  m.out_inverse = layout.floats(s.rows);
  m.out_normed = layout.bytes(s.head_rows * s.width * element);
  m.losses = layout.floats(s.rows);
  if (!s.backward) {
    m.hits = reinterpret_cast<std::uint8_t*>(layout.bytes(s.rows));
  }
  m.largest_logits = layout.floats(s.layers * s.batch * s.heads);
  if (s.backward) {
    BackwardMemory& b = m.backward;
    m.d_logits = layout.bytes(s.head_rows * s.vocabulary * element);
    b.dx = layout.floats(s.rows * s.width);
    b.d_out = layout.bytes(s.rows * s.width * element);
    b.d_middle = layout.bytes(s.rows * s.width * element);
    b.normed = layout.bytes(s.rows * s.width * element);
    b.first_normed = layout.bytes(s.rows * s.width * element);
    b.hidden = layout.bytes(s.rows * s.hidden * element);
    b.d_mixed = layout.bytes(s.rows * s.width * element);
    b.d_qkv = layout.bytes(s.rows * 3 * s.width * element);
  }
  for (std::size_t t = 0; t < threads; ++t) {
    ThreadMemory own;
    own.product = layout.bytes(kernels::row_product_scratch_bytes());
    own.attention = layout.bytes(
        kernels::attention_scratch_bytes(s.length, s.head_features, s.element));
    own.normed = layout.bytes(kChunkRows * s.width * element);
    own.hidden = layout.bytes(kChunkRows * s.hidden * element);
    own.logits = layout.floats(kHeadBlock * s.vocabulary);
    own.gains = layout.floats((2 * s.layers + 1) * s.width);
    m.threads.push_back(own);
  }
  return m;
}

}  // namespace

PassMemory lay_out(const PassSizes& sizes, std::size_t threads, bool qk_norm,
                   kernels::Workspace& space) {
  Layout count(nullptr);
  (void)take_all(sizes, threads, qk_norm, count);
  space.reserve(count.total());
  Layout layout(&space);
  return take_all(sizes, threads, qk_norm, layout);
}

void PassThread::product(PassPart part, const kernels::ConstRows& left,
                         const kernels::Packed& right,
                         const kernels::Rows& result, std::size_t begin,
                         std::size_t end, const float* addend) const {
  const PassProfile::Timer timer(
      profile, part,
      2.0 * static_cast<double>((end - begin) * right.shape.rows()) *
          static_cast<double>(right.shape.depth()));
  kernels::multiply_rows(
      {.left = left,
       .right = right,
       .addend = {addend, addend == nullptr ? 0 : result.stride,
                  kernels::Element::kFloat32},
       .result = result},
      begin, end, own().product);
}

void PassThread::weight_gradient(PassPart part, std::byte* dy,
                                 std::size_t dy_columns, std::byte* x,
                                 std::size_t x_columns, std::size_t depth,
                                 float* result, bool add) const {
  const std::size_t begin = cut(dy_columns, rank);
  const std::size_t end = cut(dy_columns, rank + 1);
  if (begin == end) return;
  const PassProfile::Timer timer(
      profile, part,
      2.0 * static_cast<double>((end - begin) * x_columns) *
          static_cast<double>(depth));
  kernels::multiply_transposed({.left = rows(dy, 0, dy_columns),
                                .right = rows(x, 0, x_columns),
                                .depth = depth,
                                .columns = x_columns,
                                .accumulate = add,
                                .scale = 1,
                                .result = result,
                                .result_stride = x_columns},
                               begin, end, own().product);
}

}  // namespace muonlab::nn
