#include "muonlab/kernels/product.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace muonlab::kernels {

namespace {

// Panels of a macro tile at most: a left block of 12 and a right one of 18
// panels, 160 lines each, and the sums between, fit a second cache of 1 MiB.
constexpr std::size_t kMaxRowPanels = 12;
constexpr std::size_t kMaxColumnPanels = 18;
constexpr std::size_t kPackColumns = 256;
constexpr std::size_t kSums = kMaxRowPanels * 2 * kMaxColumnPanels * kBlock;
constexpr std::size_t kPackFloats = kPanel * kPackColumns;
static_assert(kPackFloats <= kSums);

struct Tile {
  std::size_t row_begin, row_end;        // panels
  std::size_t column_begin, column_end;  // panels
};

// Sizes at which there are enough tiles for the team; a lone thread takes the
// largest.
struct TileSize {
  std::size_t rows, columns;
};
constexpr TileSize kSizes[] = {{12, 18}, {12, 12}, {9, 12}, {6, 9}, {4, 6},
                               {3, 6},   {3, 3},   {2, 3},  {1, 3}, {1, 2}};
constexpr std::size_t kTilesPerThread = 8;

class Tiling {
 public:
  Tiling(const Product& product, std::size_t threads)
      : rows_(product.left.shape.panels()),
        columns_(product.right.shape.panels()),
        symmetric_(product.symmetric) {
    for (const TileSize& size : kSizes) {
      set(size);
      if (threads == 1 || count_ >= threads * kTilesPerThread) return;
    }
  }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

  // Tiles that cross the diagonal, the cheapest, come last.
  [[nodiscard]] Tile at(std::size_t index) const noexcept {
    for (const bool crossing : {false, true}) {
      for (std::size_t i = 0; i < row_tiles_; ++i) {
        const Tile first = tile(i, 0);
        const std::size_t all = columns_of(first);
        const std::size_t below =
            symmetric_ ? std::min(all, (first.row_begin + 1) / size_.columns)
                       : all;
        const std::size_t here = crossing ? all - below : below;
        if (index < here) return tile(i, crossing ? below + index : index);
        index -= here;
      }
    }
    return {};
  }

 private:
  void set(TileSize size) {
    size_ = size;
    row_tiles_ = (rows_ + size.rows - 1) / size.rows;
    column_tiles_ = (columns_ + size.columns - 1) / size.columns;
    count_ = 0;
    for (std::size_t i = 0; i < row_tiles_; ++i) {
      count_ += columns_of(tile(i, 0));
    }
  }
  [[nodiscard]] Tile tile(std::size_t i, std::size_t j) const noexcept {
    return {i * size_.rows, std::min(rows_, (i + 1) * size_.rows),
            j * size_.columns, std::min(columns_, (j + 1) * size_.columns)};
  }
  // Tiles of a row of tiles that touch the lower triangle.
  [[nodiscard]] std::size_t columns_of(const Tile& row) const noexcept {
    if (!symmetric_) return column_tiles_;
    return (row.row_end + size_.columns - 1) / size_.columns;
  }

  std::size_t rows_, columns_;
  bool symmetric_;
  TileSize size_{};
  std::size_t row_tiles_ = 0, column_tiles_ = 0, count_ = 0;
};

// Lines of a panel that 8 rows of the depth take, and 16.
std::size_t line_of(Element element, std::size_t k) {
  return element == Element::kFloat32 ? k : k / 2;
}

// Where the block of C at rows 8 * half of panel `row` and columns of panel
// `column` goes.
BlockTarget block_target(const ProductTarget& target, bool symmetric,
                         std::size_t row, std::size_t half,
                         std::size_t column) {
  BlockTarget block{};
  const Packed* direct = symmetric ? target.same : target.transpose;
  const Packed* any = target.same != nullptr ? target.same : direct;
  const Element element = any->shape.element();
  block.bfloat16 = element == Element::kBFloat16;
  block.diagonal = target.diagonal;
  if (direct != nullptr) {
    block.direct =
        direct->line(column, line_of(element, row * kPanel + half * kTileRows));
  }
  if (target.same != nullptr) {
    block.transposed =
        target.same->line(row, line_of(element, column * kPanel)) +
        half * kTileRows * sizeof(float);
  }
  return block;
}

void finish_block(const ProductTable& table, const Product& product,
                  const float* sums, std::size_t row, std::size_t half,
                  std::size_t column) {
  BlockCall call{};
  call.sums = sums;
  call.sums_stride = kPanel;
  call.alpha = product.alpha;
  call.beta = product.beta;
  if (product.addend != nullptr) {
    const Element element = product.addend->shape.element();
    call.addend = product.addend->line(
        column, line_of(element, row * kPanel + half * kTileRows));
    call.addend_bfloat16 = element == Element::kBFloat16;
  }
  call.shape = BlockShape::kFull;
  if (product.symmetric && row == column) {
    call.shape =
        half == 0 ? BlockShape::kDiagonalLow : BlockShape::kDiagonalHigh;
  }
  call.target_count = product.target_count;
  for (std::size_t i = 0; i < product.target_count; ++i) {
    call.targets[i] =
        block_target(product.targets[i], product.symmetric, row, half, column);
  }
  if (product.rows != nullptr) {
    const std::size_t first_row = row * kPanel + half * kTileRows;
    const std::size_t first_column = column * kPanel;
    const std::size_t rows = product.left.shape.rows();
    const std::size_t columns = product.right.shape.rows();
    if (first_row < rows) {
      call.valid_rows = std::min(kTileRows, rows - first_row);
      call.valid_columns = std::min(kPanel, columns - first_column);
      call.rows_stride = product.rows_stride;
      call.rows_transposed = product.rows_transposed;
      call.rows =
          product.rows + (product.rows_transposed
                              ? first_column * product.rows_stride + first_row
                              : first_row * product.rows_stride + first_column);
    }
  }
  table.finish(call);
}

// The operands of the block that comes next, handed out in pieces to the tile
// kernels, which fetch them to the second cache while they multiply.
class Ahead {
 public:
  Ahead(const Product& product, const Tile& tile, std::size_t block) {
    const PackedShape& shape = product.left.shape;
    if (block >= shape.blocks()) return;
    const std::size_t line = block * shape.block_lines();
    const std::size_t panel = shape.lines_of_block(block) * kLineBytes;
    parts_[0] = {product.left.line(tile.row_begin, line),
                 (tile.row_end - tile.row_begin) * panel};
    parts_[1] = {product.right.line(tile.column_begin, line),
                 (tile.column_end - tile.column_begin) * panel};
  }
  // A kernel fetches a line for every two that it reads.
  const std::byte* take(std::size_t lines) {
    const std::size_t bytes = lines / 2 * kLineBytes;
    for (Part& part : parts_) {
      if (part.bytes < bytes) continue;
      const std::byte* at = part.begin;
      part.begin += bytes;
      part.bytes -= bytes;
      return at;
    }
    return nullptr;
  }

 private:
  struct Part {
    const std::byte* begin = nullptr;
    std::size_t bytes = 0;
  };
  Part parts_[2];
};

void run_tile(const ProductTable& table, const Product& product,
              const Tile& tile, const Tile& next, float* sums) {
  const PackedShape& shape = product.left.shape;
  const bool bfloat16 = shape.element() == Element::kBFloat16;
  const auto kernel = bfloat16 ? table.tile_bfloat16 : table.tile_float32;
  const std::size_t blocks = shape.blocks();
  const std::size_t width = tile.column_end - tile.column_begin;
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t line = b * shape.block_lines();
    const std::size_t lines = shape.lines_of_block(b);
    Ahead ahead(product, b + 1 < blocks ? tile : next,
                b + 1 < blocks ? b + 1 : 0);
    for (std::size_t row = tile.row_begin; row < tile.row_end; ++row) {
      const std::size_t end = product.symmetric
                                  ? std::min(tile.column_end, row + 1)
                                  : tile.column_end;
      const std::byte* left = product.left.line(row, line);
      std::size_t column = tile.column_begin;
      while (column < end) {
        // Strips of 3 and 2 panels: one alone would leave the units waiting.
        const std::size_t rest = end - column;
        const std::size_t panels =
            rest == 4 || rest <= 2 ? std::min<std::size_t>(rest, 2) : 3;
        TileCall call{};
        call.right = product.right.line(column, line);
        call.right_stride = lines * kLineBytes;
        call.lines = lines;
        call.panels = panels;
        call.first = b == 0;
        for (std::size_t half = 0; half < 2; ++half) {
          const std::size_t at =
              blocks == 1 ? half * kTilePanels
                          : ((row - tile.row_begin) * 2 + half) * width +
                                column - tile.column_begin;
          call.left = left + half * kTileRows * sizeof(float);
          call.sums = sums + at * kBlock;
          call.prefetch = ahead.take(lines);
          kernel(call);
          if (b + 1 < blocks) continue;
          for (std::size_t p = 0; p < panels; ++p) {
            finish_block(table, product, call.sums + p * kBlock, row, half,
                         column + p);
          }
        }
        column += panels;
      }
    }
  }
}

}  // namespace

std::size_t ProductScratch::bytes() noexcept { return kSums * sizeof(float); }

void multiply(Team& team, const ProductTable& table, const Product& product,
              const ProductScratch& scratch) {
  const Tiling tiling(product, team.size());
  team.share(tiling.count(), [&](std::size_t i) {
    run_tile(table, product, tiling.at(i), tiling.at(i + 1), scratch.sums);
  });
}

std::size_t pack_parts(std::size_t rows, std::size_t columns) {
  return (rows + kPanel - 1) / kPanel *
         ((columns + kPackColumns - 1) / kPackColumns);
}

double pack(Team& team, const ProductTable& table, const Packing& packing,
            const ProductScratch& scratch) {
  const std::size_t across =
      (packing.columns + kPackColumns - 1) / kPackColumns;
  const std::size_t parts = pack_parts(packing.rows, packing.columns);
  team.share(parts, [&](std::size_t part) {
    const std::size_t row = part / across;
    const std::size_t first_column = part % across * kPackColumns;
    const std::size_t first_row = row * kPanel;
    const std::size_t rows = std::min(kPanel, packing.rows - first_row);
    const std::size_t columns =
        std::min(kPackColumns, packing.columns - first_column);
    float* block = scratch.sums;
    if (rows < kPanel || columns % kPanel != 0) {
      std::memset(block, 0, kPackFloats * sizeof(float));
    }
    packing.source.fill(packing.source.context, first_row, rows, first_column,
                        columns, block, kPackColumns);
    if (packing.exponent != 0) {
      for (std::size_t i = 0; i < kPackFloats; ++i) {
        block[i] = std::ldexp(block[i], packing.exponent);
      }
    }
    double sum = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      sum += table.sum_of_squares(block + r * kPackColumns, columns);
    }
    packing.partial_sums[part] = sum;
    for (std::size_t c = 0; c < columns; c += kPanel) {
      for (std::size_t half = 0; half < 2; ++half) {
        BlockCall call{};
        call.sums = block + half * kTileRows * kPackColumns + c;
        call.sums_stride = kPackColumns;
        call.alpha = 1;
        call.shape = BlockShape::kFull;
        call.target_count = packing.target_count;
        for (std::size_t i = 0; i < packing.target_count; ++i) {
          call.targets[i] = block_target(packing.targets[i], false, row, half,
                                         (first_column + c) / kPanel);
        }
        table.finish(call);
      }
    }
  });
  double sum = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    sum += packing.partial_sums[part];
  }
  return sum;
}

}  // namespace muonlab::kernels
