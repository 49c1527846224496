// Products of packed matrices by a team of threads:
//
//   C = alpha * left right^T + beta * addend
//
// written in one go to every packed form that the next product reads.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>

#include "muonlab/core/thread_pool.h"
#include "muonlab/kernels/packed.h"
#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {

/// What the threads that work on one matrix share.
class TeamState {
 public:
  explicit TeamState(std::size_t size) : size_(size), barrier_(size) {}
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  friend class Team;
  static constexpr std::size_t kCounters = 4;
  struct alignas(64) Counter {
    std::atomic<std::size_t> next{0};
  };
  std::size_t size_;
  core::Barrier barrier_;
  Counter counters_[kCounters];
};

/// One thread's place in a team. Every member runs the same stages in the same
/// order.
class Team {
 public:
  Team(TeamState& state, std::size_t rank) : state_(state), rank_(rank) {}
  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] std::size_t size() const noexcept { return state_.size_; }

  /// Hands the numbers 0 to count - 1 out to the members, lowest first, and
  /// waits until all are done. Which member gets which is not fixed.
  template <typename Body>
  void share(std::size_t count, Body body) {
    if (state_.size_ == 1) {
      for (std::size_t i = 0; i < count; ++i) body(i);
      return;
    }
    auto& counters = state_.counters_;
    // The counter of the stage after the next is out of use: all members have
    // left the stage that had it last.
    if (rank_ == 0) {
      counters[(stage_ + 2) % TeamState::kCounters].next.store(
          0, std::memory_order_relaxed);
    }
    std::atomic<std::size_t>& next =
        counters[stage_ % TeamState::kCounters].next;
    ++stage_;
    while (true) {
      const std::size_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) break;
      body(i);
    }
    state_.barrier_.wait();
  }

 private:
  TeamState& state_;
  std::size_t rank_;
  std::size_t stage_ = 0;
};

/// Where C goes: C as a packed matrix (rows of C in its panels), its transpose,
/// or both; for a symmetric C `same` is C and nothing else is set.
struct ProductTarget {
  const Packed* same = nullptr;
  const Packed* transpose = nullptr;
  float diagonal = 0;  ///< added to C[i][i]; symmetric products alone
};

struct Product {
  Packed left;   ///< (rows, depth)
  Packed right;  ///< (columns, depth), the same depth, element and blocks
  /// C is symmetric up to rounding: one triangle is computed and mirrored, so
  /// that what is stored is symmetric to the bit.
  bool symmetric = false;
  float alpha = 1;
  float beta = 0;
  /// C's transpose packed, as `transpose` of a target, or null.
  const Packed* addend = nullptr;
  ProductTarget targets[3];
  std::size_t target_count = 0;
  /// Row-major float32 (rows, columns) without padding, or null; transposed:
  /// (columns, rows). `rows_stride` floats from row to row.
  float* rows = nullptr;
  std::size_t rows_stride = 0;
  bool rows_transposed = false;
};

/// Scratch of one thread: sums of the tiles in work, 64-byte aligned.
struct ProductScratch {
  float* sums = nullptr;
  [[nodiscard]] static std::size_t bytes() noexcept;
};

/// Every member of the team calls it with the same product. No target may
/// overlap an operand.
void multiply(Team& team, const ProductTable& table, const Product& product,
              const ProductScratch& scratch);

/// Fills 16-row blocks of a matrix on demand: rows [row, row + rows) and
/// columns [column, column + columns) to `to`, `stride` floats from row to row.
/// Called once for every block, by any member.
struct BlockSource {
  void (*fill)(void* context, std::size_t row, std::size_t rows,
               std::size_t column, std::size_t columns, float* to,
               std::size_t stride);
  void* context = nullptr;
  /// May be called again for the same block: where bfloat16 cannot hold the
  /// entries' size, they are then read once more and scaled before they are
  /// rounded.
  bool repeatable = false;
};

/// Packs a (rows, columns) matrix: to `same` (its rows in panels) and
/// `transpose`, where they are set, of either element. Returns the sum of
/// squares, added up in an order that does not depend on the team.
/// `partial_sums` has pack_parts() values.
struct Packing {
  BlockSource source;
  std::size_t rows = 0;
  std::size_t columns = 0;
  ProductTarget targets[3];
  std::size_t target_count = 0;
  double* partial_sums = nullptr;
  int exponent = 0;  ///< entries are multiplied by 2^exponent
};
[[nodiscard]] std::size_t pack_parts(std::size_t rows, std::size_t columns);
[[nodiscard]] double pack(Team& team, const ProductTable& table,
                          const Packing& packing,
                          const ProductScratch& scratch);

}  // namespace muonlab::kernels
