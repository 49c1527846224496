// Matrices in the form that the products read: panels of 16 rows, cut along the
// depth into lines of 64 bytes.
//
// A line holds 16 rows at one k (float32), or at a pair of k, low half first
// (bfloat16). The depth is cut into equal blocks; memory order is block, panel,
// line, so what a block of a product reads lies together and powers of two do
// not meet in the caches. The same form serves as left and as right operand.
#pragma once

#include <cstddef>
#include <memory>

namespace muonlab::kernels {

enum class Element { kFloat32, kBFloat16 };

/// Rows are padded to 16, the depth to 16; what is padded is zero.
class PackedShape {
 public:
  PackedShape() = default;
  /// Throws Error(kInvalidArgument) when the bytes overflow std::size_t.
  PackedShape(std::size_t rows, std::size_t depth, Element element);

  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t depth() const noexcept { return depth_; }
  [[nodiscard]] Element element() const noexcept { return element_; }
  [[nodiscard]] std::size_t panels() const noexcept { return panels_; }
  /// Of a panel: the padded depth, or half of it for bfloat16.
  [[nodiscard]] std::size_t lines() const noexcept { return lines_; }
  /// Lines of all blocks but the last, a multiple of 16.
  [[nodiscard]] std::size_t block_lines() const noexcept {
    return block_lines_;
  }
  [[nodiscard]] std::size_t blocks() const noexcept { return blocks_; }
  [[nodiscard]] std::size_t lines_of_block(std::size_t block) const noexcept {
    return block + 1 < blocks_ ? block_lines_ : lines_ - block * block_lines_;
  }
  [[nodiscard]] std::size_t bytes() const noexcept;
  /// Where a line begins.
  [[nodiscard]] std::size_t offset(std::size_t panel,
                                   std::size_t line) const noexcept;

 private:
  std::size_t rows_ = 0;
  std::size_t depth_ = 0;
  Element element_ = Element::kFloat32;
  std::size_t panels_ = 0;
  std::size_t lines_ = 0;
  std::size_t block_lines_ = 0;
  std::size_t blocks_ = 0;
};

/// A packed matrix in memory of others, 64-byte aligned.
struct Packed {
  PackedShape shape;
  std::byte* data = nullptr;

  [[nodiscard]] std::byte* line(std::size_t panel,
                                std::size_t index) const noexcept {
    return data + shape.offset(panel, index);
  }
};

/// Memory for packed matrices: grows, never shrinks, is never cleared. Large
/// pages are asked for. Not thread-safe.
class Workspace {
 public:
  Workspace() = default;
  /// Room for `bytes` in all; forgets what was taken. Throws std::bad_alloc.
  void reserve(std::size_t bytes);
  /// A part of it, 64-byte aligned.
  [[nodiscard]] std::byte* take(std::size_t bytes);
  [[nodiscard]] Packed take(const PackedShape& shape) {
    return {shape, take(shape.bytes())};
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// What take() really uses.
  [[nodiscard]] static std::size_t rounded(std::size_t bytes) noexcept;

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

}  // namespace muonlab::kernels
