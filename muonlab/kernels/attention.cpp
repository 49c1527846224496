#include "muonlab/kernels/attention.h"

#include <algorithm>

#include "muonlab/core/error.h"
#include "muonlab/kernels/attention_internal.h"
#include "muonlab/kernels/product_tables_internal.h"
#include "muonlab/kernels/row_product.h"

namespace muonlab::kernels {

namespace {

constexpr std::size_t kMostFeatures = 256;
// Sizes in bytes stay far below the largest std::size_t.
constexpr std::size_t kMostTokens = std::size_t{1} << 40;

const AttentionTable& attention_table(SimdLevel level) {
  switch (level) {
#ifdef MUONLAB_KERNELS_X86
    case SimdLevel::kAvx2:
      return kAvx2Attention;
    case SimdLevel::kAvx512:
      return kAvx512Attention;
    case SimdLevel::kAvx512Bf16:
      return kAvx512Bf16Attention;
#endif
    default:
      return kScalarAttention;
  }
}

// `panels` right panels in even groups of up to kTilePanels.
void multiply_tiles(const AttentionKernels& kernels, TileCall call,
                    std::size_t panels) noexcept {
  const auto* right = static_cast<const std::byte*>(call.right);
  float* sums = call.sums;
  std::size_t groups = (panels + kTilePanels - 1) / kTilePanels;
  for (std::size_t panel = 0; panel < panels; --groups) {
    call.panels = (panels - panel + groups - 1) / groups;
    call.right = right + panel * call.right_stride;
    call.sums = sums + panel * kBlock;
    kernels.tile(call);
    panel += call.panels;
  }
}

}  // namespace

AttentionKernels attention_kernels(SimdLevel level, Element element) {
  // Throws where the level is missing.
  const ProductTable& products = product_table(level);
  return {products, attention_table(level), level, element,
          element == Element::kFloat32 ? products.tile_float32
                                       : products.tile_bfloat16};
}

void check_attention(std::size_t tokens, std::size_t features,
                     Element element) {
  MUONLAB_CHECK(tokens >= 1 && tokens <= kMostTokens, "attention: got ", tokens,
                " tokens, expected 1 to 2^40");
  MUONLAB_CHECK(features >= 1 && features <= kMostFeatures, "attention: got ",
                features, " features of a head, expected 1 to ", kMostFeatures);
  MUONLAB_CHECK(element == Element::kFloat32 || element == Element::kBFloat16,
                "attention: unknown element");
}

void check_attention_operand(const ConstRows& rows, std::size_t features,
                             Element element, const char* name) {
  MUONLAB_CHECK(rows.data != nullptr, "attention: ", name, " has no memory");
  MUONLAB_CHECK(rows.stride >= features, "attention: ", name,
                " has a stride of ", rows.stride, ", expected ", features,
                " or more");
  MUONLAB_CHECK(rows.element == element, "attention: ", name,
                " is not of q's element");
}

TokenRows::TokenRows(Cutter& cutter, std::size_t tokens, std::size_t features,
                     Element element) {
  packed_.shape = PackedShape(tokens, features, element);
  packed_.data = cutter.take(packed_.shape.bytes());
}

void TokenRows::pack(const ConstRows& from, SimdLevel level) {
  pack_rows(packed_, from, 0, packed_.shape.panels(), level);
}

void TokenRows::multiply(const AttentionKernels& kernels, std::size_t row,
                         const TokenRows& right, std::size_t column,
                         std::size_t panels, float* sums) const noexcept {
  const PackedShape& shape = packed_.shape;
  for (std::size_t block = 0; block < shape.blocks(); ++block) {
    const std::size_t line = block * shape.block_lines();
    const std::size_t lines = shape.lines_of_block(block);
    const std::byte* left =
        packed_.line(row / kPanel, line) + row % kPanel * sizeof(float);
    multiply_tiles(kernels,
                   {.left = left,
                    .right = right.packed_.line(column / kPanel, line),
                    .right_stride = lines * kLineBytes,
                    .lines = lines,
                    .panels = 0,
                    .first = block == 0,
                    .sums = sums,
                    .prefetch = nullptr},
                   panels);
  }
}

TokenColumns::TokenColumns(Cutter& cutter, std::size_t tokens,
                           std::size_t features, Element element)
    : tokens_(tokens), features_(features), element_(element) {
  const PackedShape whole(features, kTokenBlock, element);
  panels_ = whole.panels();
  block_bytes_ = whole.bytes();
  data_ = cutter.take((tokens + kTokenBlock - 1) / kTokenBlock * block_bytes_);
}

Packed TokenColumns::block(std::size_t index) const {
  const std::size_t count =
      std::min(kTokenBlock, tokens_ - index * kTokenBlock);
  return {PackedShape(features_, count, element_),
          data_ + index * block_bytes_};
}

void TokenColumns::pack(const ConstRows& from, SimdLevel level) {
  const auto* bytes = static_cast<const std::byte*>(from.data);
  const std::size_t row = from.stride * bytes_of(from.element);
  for (std::size_t i = 0; i * kTokenBlock < tokens_; ++i) {
    const ConstRows part{bytes + i * kTokenBlock * row, from.stride,
                         from.element};
    pack_columns(block(i), part, 0, panels_, level);
  }
}

void TokenColumns::multiply(const AttentionKernels& kernels,
                            const std::byte* left, std::size_t block,
                            std::size_t begin, std::size_t end, bool first,
                            float* sums) const noexcept {
  const std::size_t count =
      std::min(kTokenBlock, tokens_ - block * kTokenBlock);
  const std::size_t skipped = kernels.line_bytes(begin);
  multiply_tiles(kernels,
                 {.left = left + skipped,
                  .right = data_ + block * block_bytes_ + skipped,
                  .right_stride = kernels.line_bytes(padded_to_panel(count)),
                  .lines = kernels.lines(end - begin),
                  .panels = 0,
                  .first = first,
                  .sums = sums,
                  .prefetch = nullptr},
                 panels_);
}

std::size_t attention_scratch_bytes(std::size_t tokens, std::size_t features,
                                    Element element) {
  check_attention(tokens, features, element);
  Cutter forward(nullptr);
  Cutter backward(nullptr);
  (void)ForwardScratch(forward, tokens, features, element);
  (void)BackwardScratch(backward, tokens, features, element);
  return std::max(forward.used(), backward.used());
}

}  // namespace muonlab::kernels
