#include "muonlab/kernels/packed.h"

#include <sys/mman.h>

#include <cstdlib>
#include <limits>
#include <new>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {

namespace {

// A strip of three right panels and one left panel: 4 * 128 lines are 32 KiB of
// the 48 KiB that the first cache has.
constexpr std::size_t kMaxBlockLines = 160;

constexpr std::size_t up_to(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

constexpr std::size_t kPage = std::size_t{1} << 21;

}  // namespace

PackedShape::PackedShape(std::size_t rows, std::size_t depth, Element element)
    : rows_(rows), depth_(depth), element_(element) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() / 8;
  MUONLAB_CHECK(rows <= kMost / kPanel && depth <= kMost / kPanel,
                "packed matrix: ", rows, " x ", depth, " is too large");
  panels_ = up_to(rows, kPanel) / kPanel;
  const std::size_t padded = up_to(depth, kPanel);
  lines_ = element == Element::kFloat32 ? padded : padded / 2;
  MUONLAB_CHECK(lines_ == 0 || panels_ <= kMost / kLineBytes / lines_,
                "packed matrix: ", rows, " x ", depth, " is too large");
  if (lines_ == 0) return;
  blocks_ = (lines_ + kMaxBlockLines - 1) / kMaxBlockLines;
  block_lines_ = up_to((lines_ + blocks_ - 1) / blocks_, kPanel);
  blocks_ = (lines_ + block_lines_ - 1) / block_lines_;
}

std::size_t PackedShape::bytes() const noexcept {
  return panels_ * lines_ * kLineBytes;
}

std::size_t PackedShape::offset(std::size_t panel,
                                std::size_t line) const noexcept {
  const std::size_t block = line / block_lines_;
  const std::size_t before = block * block_lines_;
  return (before * panels_ + panel * lines_of_block(block) + line - before) *
         kLineBytes;
}

void Workspace::Free::operator()(std::byte* p) const noexcept { std::free(p); }

std::size_t Workspace::rounded(std::size_t bytes) noexcept {
  // One more line keeps buffers of equal power-of-two size apart.
  return up_to(bytes, kLineBytes) + kLineBytes;
}

void Workspace::reserve(std::size_t bytes) {
  used_ = 0;
  if (bytes <= capacity_) return;
  const std::size_t size = up_to(bytes, kPage);
  memory_.reset();
  capacity_ = 0;
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, size)));
  if (memory_ == nullptr) throw std::bad_alloc();
  capacity_ = size;
#ifdef MADV_HUGEPAGE
  // Advice: refusal costs speed alone.
  (void)madvise(memory_.get(), size, MADV_HUGEPAGE);
#endif
}

std::byte* Workspace::take(std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  MUONLAB_CHECK(size <= capacity_ - used_, "workspace: ", size,
                " bytes asked for, ", capacity_ - used_, " left");
  std::byte* place = memory_.get() + used_;
  used_ += size;
  return place;
}

}  // namespace muonlab::kernels
