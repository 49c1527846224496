// Both products go over blocks of rows, groups of columns, and blocks of the
// depth. Of a block of the depth the left rows are packed, so that one form of
// tile serves all; the sums of a block of rows and a group of columns stay in
// the second cache until the depth is done.
#include "muonlab/kernels/row_product.h"

#include <algorithm>
#include <cstdint>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/kernels/product_tables_internal.h"
#include "muonlab/kernels/row_packing_internal.h"
#include "muonlab/kernels/row_store_table_internal.h"

namespace muonlab::kernels {

namespace {

// Each packed left line is read by all strips of a group, each packed right
// line by all tiles of a block of rows: both are large. The sums and both
// sides are 1 MiB less 240 KiB of a second cache of 1 MiB.
constexpr std::size_t kShort = 256;  // rows or columns
constexpr std::size_t kLong = 384;
constexpr std::size_t kStripColumns = kTilePanels * kPanel;
constexpr std::size_t kMostLines = 160;  // PackedShape's
constexpr std::size_t kTileFloats = kTilePanels * kBlock;

constexpr std::size_t up_to(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

constexpr std::size_t kSideBytes =
    (kShort + kLong) * kMostLines * (kLineBytes / kPanel);
constexpr std::size_t kSumFloats = std::max(
    kLong * up_to(kShort, kStripColumns), kShort* up_to(kLong, kStripColumns));

// The equal parts of at most `most` that `total` is cut into, but for the last.
std::size_t part(std::size_t total, std::size_t most, std::size_t multiple) {
  const std::size_t parts = (total + most - 1) / most;
  return std::min(most, up_to((total + parts - 1) / parts, multiple));
}

// Rows of a block, and columns of a group.
struct Cut {
  Cut(std::size_t all_rows, std::size_t all_columns)
      : rows(part(all_rows, all_columns <= kShort ? kLong : kShort, kPanel)),
        columns(part(all_columns, all_columns <= kShort ? kShort : kLong,
                     kStripColumns)) {}

  std::size_t rows;
  std::size_t columns;
};

struct Scratch {
  explicit Scratch(std::byte* memory)
      : left(memory), sums(reinterpret_cast<float*>(left + kSideBytes)) {
    MUONLAB_CHECK(
        memory != nullptr &&
            reinterpret_cast<std::uintptr_t>(memory) % kLineBytes == 0,
        "row product: scratch is not 64-byte aligned memory");
  }

  std::byte* left;  // and then the right side
  float* sums;
};

struct Kernels {
  Kernels(SimdLevel level, Element element)
      : packing(packing_table(level)),
        store(level >= SimdLevel::kAvx512 ? store_of_avx512()
                                          : kScalarRowStore.store),
        bfloat16(element == Element::kBFloat16),
        tile(bfloat16 ? product_table(level).tile_bfloat16
                      : product_table(level).tile_float32) {}

  static void (*store_of_avx512() noexcept)(const RowStoreCall&) noexcept {
#ifdef MUONLAB_KERNELS_X86
    return kAvx512RowStore.store;
#else
    return kScalarRowStore.store;
#endif
  }

  const PackingTable& packing;
  void (*store)(const RowStoreCall&) noexcept;
  bool bfloat16;
  void (*tile)(const TileCall&) noexcept;
};

// Of the depth.
struct Span {
  Span(const PackedShape& shape, std::size_t block)
      : line(block * shape.block_lines()),
        lines(shape.lines_of_block(block)),
        first(block == 0),
        last(block + 1 == shape.blocks()) {
    const std::size_t group = shape.element() == Element::kBFloat16 ? 2 : 1;
    begin = line * group;
    size = std::min(shape.depth(), (line + lines) * group) - begin;
  }

  std::size_t line;
  std::size_t lines;
  bool first;
  bool last;
  std::size_t begin = 0;  // entries
  std::size_t size = 0;
};

struct Output {
  float scale;
  const float* addend;
  std::size_t addend_stride;
  void* result;
  std::size_t stride;
  Element element;

  [[nodiscard]] Output at(std::size_t row, std::size_t column) const {
    Output part = *this;
    if (addend != nullptr) part.addend += row * addend_stride + column;
    part.result = static_cast<std::byte*>(result) +
                  (row * stride + column) * bytes_of(element);
    return part;
  }
  void store(const Kernels& kernels, const float* sums, std::size_t rows,
             std::size_t columns) const {
    kernels.store({.sums = sums,
                   .rows = rows,
                   .columns = columns,
                   .scale = scale,
                   .addend = addend,
                   .addend_stride = addend_stride,
                   .result = result,
                   .result_stride = stride,
                   .result_bfloat16 = element == Element::kBFloat16});
  }
};

// Panels of `count` rows, or columns, of `from`, whose first is at `data`.
void pack_panels(const Kernels& kernels, const ConstRows& from,
                 std::size_t first, std::size_t count, const Span& span,
                 bool columns, std::byte* to) {
  const std::size_t size = bytes_of(from.element);
  const auto* data = static_cast<const std::byte*>(from.data);
  const std::size_t at = columns ? span.begin * from.stride + first
                                 : first * from.stride + span.begin;
  const PackCall call{.from = data + at * size,
                      .stride = from.stride,
                      .from_bfloat16 = kernels.bfloat16,
                      .to_bfloat16 = kernels.bfloat16,
                      .rows = count,
                      .depth = span.size,
                      .lines = span.lines,
                      .to = to};
  (columns ? kernels.packing.columns : kernels.packing.rows)(call);
}

// A block of rows times a group of columns, over a block of the depth. `sums`
// holds those of all tiles when the depth has several blocks.
void multiply_block(const Kernels& kernels, const std::byte* left,
                    std::size_t rows, const std::byte* right,
                    std::size_t columns, const Span& span, float* sums,
                    const Output& output) {
  const std::size_t panel_bytes = span.lines * kLineBytes;
  const bool only = span.first && span.last;
  for (std::size_t column = 0; column < columns; column += kStripColumns) {
    const std::size_t width = std::min(kStripColumns, columns - column);
    const std::byte* strip = right + column / kPanel * panel_bytes;
    const bool next = column + 2 * kStripColumns <= columns;
    for (std::size_t row = 0; row < rows; row += kTileRows) {
      // Half a panel's lines of the next strip, until all are asked for.
      const std::size_t ahead = row / kTileRows;
      const bool prefetch = next && ahead < 2 * kTilePanels;
      kernels.tile({.left = left + row / kPanel * panel_bytes +
                            row % kPanel * sizeof(float),
                    .right = strip,
                    .right_stride = panel_bytes,
                    .lines = span.lines,
                    .panels = (width + kPanel - 1) / kPanel,
                    .first = span.first,
                    .sums = sums,
                    .prefetch = prefetch ? strip + kTilePanels * panel_bytes +
                                               ahead * (panel_bytes / 2)
                                         : nullptr});
      if (span.last) {
        output.at(row, column)
            .store(kernels, sums, std::min(kTileRows, rows - row), width);
      }
      if (!only) sums += kTileFloats;
    }
  }
}

// A depth of nothing.
void store_zeros(const Kernels& kernels, std::size_t rows, std::size_t columns,
                 float* sums, const Output& output) {
  std::fill_n(sums, kTileFloats, 0.0F);
  for (std::size_t row = 0; row < rows; row += kTileRows) {
    for (std::size_t column = 0; column < columns; column += kStripColumns) {
      output.at(row, column)
          .store(kernels, sums, std::min(kTileRows, rows - row),
                 std::min(kStripColumns, columns - column));
    }
  }
}

void check_rows(const char* what, const void* data, std::size_t stride,
                std::size_t width) {
  MUONLAB_CHECK(data != nullptr, "row product: ", what, " has no memory");
  MUONLAB_CHECK(stride >= width, "row product: ", what, " has rows of ", width,
                " entries, ", stride, " apart");
}

}  // namespace

std::size_t row_product_scratch_bytes() noexcept {
  return kSideBytes + kSumFloats * sizeof(float);
}

void multiply_rows(const RowProduct& product, std::size_t begin,
                   std::size_t end, std::byte* scratch_memory,
                   SimdLevel level) {
  const ConstRows& left = product.left;
  const PackedShape& shape = product.right.shape;
  const Kernels kernels(level, shape.element());
  MUONLAB_CHECK(begin <= end, "row product: rows ", begin, " to ", end);
  MUONLAB_CHECK(left.element == shape.element(),
                "row product: the operands differ in their element");
  MUONLAB_CHECK(product.addend.data == nullptr ||
                    product.addend.element == Element::kFloat32,
                "row product: the addend is not float32");
  const std::size_t columns = shape.rows();
  if (begin == end || columns == 0) return;
  const Scratch scratch(scratch_memory);
  check_rows("the result", product.result.data, product.result.stride, columns);
  if (product.addend.data != nullptr) {
    check_rows("the addend", product.addend.data, product.addend.stride,
               columns);
  }
  const Output output{.scale = 1,
                      .addend = static_cast<const float*>(product.addend.data),
                      .addend_stride = product.addend.stride,
                      .result = product.result.data,
                      .stride = product.result.stride,
                      .element = product.result.element};
  if (shape.depth() == 0) {
    return store_zeros(kernels, end - begin, columns, scratch.sums,
                       output.at(begin, 0));
  }
  check_rows("the left operand", left.data, left.stride, shape.depth());
  MUONLAB_CHECK(product.right.data != nullptr,
                "row product: the right operand has no memory");
  // Without sums to keep, one group: left rows are packed once.
  const Cut cut(end - begin, columns);
  const std::size_t group = shape.blocks() == 1 ? columns : cut.columns;
  for (std::size_t row = begin; row < end; row += cut.rows) {
    const std::size_t rows = std::min(cut.rows, end - row);
    for (std::size_t column = 0; column < columns; column += group) {
      for (std::size_t block = 0; block < shape.blocks(); ++block) {
        const Span span(shape, block);
        pack_panels(kernels, left, row, rows, span, false, scratch.left);
        multiply_block(kernels, scratch.left, rows,
                       product.right.line(column / kPanel, span.line),
                       std::min(group, columns - column), span, scratch.sums,
                       output.at(row, column));
      }
    }
  }
}

void multiply_transposed(const TransposedProduct& product, std::size_t begin,
                         std::size_t end, std::byte* scratch_memory,
                         SimdLevel level) {
  const ConstRows& left = product.left;
  const ConstRows& right = product.right;
  const Kernels kernels(level, left.element);
  MUONLAB_CHECK(begin <= end, "transposed product: rows ", begin, " to ", end);
  MUONLAB_CHECK(left.element == right.element,
                "transposed product: the operands differ in their element");
  const std::size_t columns = product.columns;
  if (begin == end || columns == 0) return;
  const Scratch scratch(scratch_memory);
  check_rows("the result", product.result, product.result_stride, columns);
  const Output output{.scale = product.scale,
                      .addend = product.accumulate ? product.result : nullptr,
                      .addend_stride = product.result_stride,
                      .result = product.result,
                      .stride = product.result_stride,
                      .element = Element::kFloat32};
  if (product.depth == 0) {
    return store_zeros(kernels, end - begin, columns, scratch.sums,
                       output.at(begin, 0));
  }
  check_rows("the left operand", left.data, left.stride, end);
  check_rows("the right operand", right.data, right.stride, columns);
  const PackedShape shape(kPanel, product.depth, left.element);
  const Cut cut(end - begin, columns);
  std::byte* packed_right =
      scratch.left + cut.rows * kMostLines * (kLineBytes / kPanel);
  for (std::size_t column = 0; column < columns; column += cut.columns) {
    const std::size_t width = std::min(cut.columns, columns - column);
    for (std::size_t row = begin; row < end; row += cut.rows) {
      const std::size_t rows = std::min(cut.rows, end - row);
      for (std::size_t block = 0; block < shape.blocks(); ++block) {
        const Span span(shape, block);
        pack_panels(kernels, left, row, rows, span, true, scratch.left);
        pack_panels(kernels, right, column, width, span, true, packed_right);
        multiply_block(kernels, scratch.left, rows, packed_right, width, span,
                       scratch.sums, output.at(row, column));
      }
    }
  }
}

}  // namespace muonlab::kernels
