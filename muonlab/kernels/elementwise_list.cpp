#include "muonlab/kernels/elementwise_list.h"

#include <algorithm>
#include <atomic>

#include "muonlab/kernels/elementwise_internal.h"

namespace muonlab::kernels {

static_assert(kPieceSize == kSummaryChunk, "a piece is summarised at once");

namespace {

std::size_t pieces_of(std::size_t size) {
  return (size + kPieceSize - 1) / kPieceSize;
}

template <typename Task, typename Step>
void for_each_task(std::span<const Task> tasks, core::ThreadPool& pool,
                   Step step) {
  std::vector<std::size_t> sizes;
  for (const Task& task : tasks) sizes.push_back(task.size);
  for_each_piece(sizes, pool, [&](const Piece& piece) {
    step(tasks[piece.array], piece.begin, piece.size);
  });
}

}  // namespace

void for_each_piece(std::span<const std::size_t> sizes, core::ThreadPool& pool,
                    const std::function<void(const Piece&)>& body) {
  // ends[i]: the number of pieces in the arrays up to i.
  std::vector<std::size_t> ends;
  std::size_t total = 0;
  for (const std::size_t size : sizes) {
    ends.push_back(total += pieces_of(size));
  }
  std::atomic<std::size_t> next{0};
  const auto work = [&](std::size_t) {
    for (std::size_t number = next++; number < total; number = next++) {
      const auto end = std::ranges::upper_bound(ends, number);
      const auto array = static_cast<std::size_t>(end - ends.begin());
      const std::size_t first = *end - pieces_of(sizes[array]);
      const std::size_t begin = (number - first) * kPieceSize;
      body({array, begin, std::min(kPieceSize, sizes[array] - begin), number});
    }
  };
  if (total <= kPiecesOfOneThread || pool.size() == 1) return work(0);
  pool.run(work);
}

std::vector<GradientSummary> summarise_list(std::span<const ConstArray> arrays,
                                            core::ThreadPool& pool,
                                            SimdLevel level) {
  const ElementwiseTable& table = elementwise_table(level);
  std::vector<std::size_t> sizes;
  std::size_t total = 0;
  for (const ConstArray& array : arrays) {
    sizes.push_back(array.size);
    total += pieces_of(array.size);
  }
  std::vector<ChunkSummary> chunks(total);
  for_each_piece(sizes, pool, [&](const Piece& piece) {
    chunks[piece.number] =
        table.summarise(arrays[piece.array].data + piece.begin, piece.size);
  });
  std::vector<GradientSummary> summaries;
  std::span<const ChunkSummary> rest = chunks;
  for (const std::size_t size : sizes) {
    summaries.push_back(summary_of(rest.first(pieces_of(size))));
    rest = rest.subspan(pieces_of(size));
  }
  return summaries;
}

void adam_list(std::span<const AdamTask> tasks, core::ThreadPool& pool,
               SimdLevel level) {
  const ElementwiseTable& table = elementwise_table(level);
  for_each_task(tasks, pool,
                [&](const AdamTask& t, std::size_t begin, std::size_t size) {
                  table.adam(t.w + begin, t.g + begin, t.m + begin, t.v + begin,
                             size, t.scalars);
                });
}

void lion_list(std::span<const LionTask> tasks, core::ThreadPool& pool,
               SimdLevel level) {
  const ElementwiseTable& table = elementwise_table(level);
  for_each_task(
      tasks, pool, [&](const LionTask& t, std::size_t begin, std::size_t size) {
        table.lion(t.w + begin, t.g + begin, t.m + begin, size, t.scalars);
      });
}

void sgd_list(std::span<const SgdTask> tasks, core::ThreadPool& pool,
              SimdLevel level) {
  const ElementwiseTable& table = elementwise_table(level);
  for_each_task(
      tasks, pool, [&](const SgdTask& t, std::size_t begin, std::size_t size) {
        table.sgd(t.w + begin, t.g + begin, t.m + begin, size, t.scalars);
      });
}

void signum_list(std::span<const SignumTask> tasks, core::ThreadPool& pool,
                 SimdLevel level) {
  const ElementwiseTable& table = elementwise_table(level);
  for_each_task(tasks, pool,
                [&](const SignumTask& t, std::size_t begin, std::size_t size) {
                  table.signum(t.w + begin, t.g + begin, t.m + begin, size,
                               t.scalars);
                });
}

}  // namespace muonlab::kernels
