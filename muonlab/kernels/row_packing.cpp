#include <algorithm>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/kernels/row_packing_internal.h"
#include "muonlab/kernels/row_product.h"

namespace muonlab::kernels {

const PackingTable& packing_table(SimdLevel level) {
  if (!is_available(level)) {
    throw Error(ErrorKind::kUnsupported,
                concat("kernels: this build or machine has no ",
                       simd_level_name(level)));
  }
#ifdef MUONLAB_KERNELS_X86
  if (level >= SimdLevel::kAvx512) return kAvx512Packing;
#endif
  return kScalarPacking;
}

namespace {

void pack(const Packed& to, const ConstRows& from, std::size_t begin,
          std::size_t end, bool columns, SimdLevel level) {
  const PackingTable& table = packing_table(level);
  const PackedShape& shape = to.shape;
  MUONLAB_CHECK(begin <= end && end <= shape.panels(), "panels ", begin, " to ",
                end, " of ", shape.panels());
  if (begin == end || shape.lines() == 0) return;
  const std::size_t width = columns ? shape.rows() : shape.depth();
  const std::size_t height = columns ? shape.depth() : shape.rows();
  MUONLAB_CHECK(from.data != nullptr && to.data != nullptr,
                "packing: no memory");
  MUONLAB_CHECK(from.stride >= width || height == 1, "rows of ", width,
                " entries, ", from.stride, " apart");
  const auto* data = static_cast<const std::byte*>(from.data);
  const std::size_t size = bytes_of(from.element);
  const bool bfloat16 = shape.element() == Element::kBFloat16;
  for (std::size_t block = 0; block < shape.blocks(); ++block) {
    const std::size_t line = block * shape.block_lines();
    const std::size_t lines = shape.lines_of_block(block);
    const std::size_t k = line * (bfloat16 ? 2 : 1);
    const std::size_t depth =
        std::min(shape.depth(), (line + lines) * (bfloat16 ? 2 : 1)) - k;
    for (std::size_t panel = begin; panel < end; ++panel) {
      const std::size_t row = panel * kPanel;
      const std::size_t at =
          columns ? k * from.stride + row : row * from.stride + k;
      const PackCall call{.from = data + at * size,
                          .stride = from.stride,
                          .from_bfloat16 = from.element == Element::kBFloat16,
                          .to_bfloat16 = bfloat16,
                          .rows = std::min(kPanel, shape.rows() - row),
                          .depth = depth,
                          .lines = lines,
                          .to = to.line(panel, line)};
      (columns ? table.columns : table.rows)(call);
    }
  }
}

}  // namespace

void pack_rows(const Packed& to, const ConstRows& from, std::size_t begin,
               std::size_t end, SimdLevel level) {
  pack(to, from, begin, end, false, level);
}

void pack_columns(const Packed& to, const ConstRows& from, std::size_t begin,
                  std::size_t end, SimdLevel level) {
  pack(to, from, begin, end, true, level);
}

}  // namespace muonlab::kernels
