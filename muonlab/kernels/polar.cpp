#include "muonlab/kernels/polar.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/kernels/polar_iteration_internal.h"
#include "muonlab/kernels/product_tables_internal.h"

namespace muonlab::kernels {

namespace {

void check(const PolarSchedule& s) {
  MUONLAB_CHECK(!s.steps.empty(), "polar: no steps, expected 1 or more");
  const bool gram = s.form == PolarForm::kGram;
  MUONLAB_CHECK(gram || s.precision != PolarPrecision::kMixed,
                "polar: mixed precision needs the Gram form");
  MUONLAB_CHECK(!gram || s.precision != PolarPrecision::kBFloat16Master,
                "polar: X in float32 beside bfloat16 products is of the "
                "standard form; take mixed precision with the Gram form");
  MUONLAB_CHECK(gram || s.restarts.empty(),
                "polar: restarts are of the Gram form alone");
}

double cost(const PolarJob& job, const PolarSchedule& schedule) {
  const PolarFlops flops = polar_flops(job.rows, job.columns, schedule);
  return flops.float32 + 0.5 * flops.bfloat16;
}

// Kept between calls, so that a training step allocates nothing.
struct Memory {
  std::mutex mutex;
  Workspace team;
  std::vector<Workspace> own;
};

Memory& memory() {
  // Never destroyed: a thread may still be in a call when the process ends.
  static auto* kMemory = new Memory;
  return *kMemory;
}

// Which jobs a thread takes whole: those that are small and leave no thread
// waiting long at the end.
struct Split {
  std::vector<std::size_t> together;
  std::vector<std::size_t> alone;  // costliest first
};

Split split(std::span<const PolarJob> jobs, const PolarSchedule& schedule,
            std::size_t threads) {
  Split result;
  std::vector<double> costs(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (jobs[i].rows == 0 || jobs[i].columns == 0) continue;
    costs[i] = cost(jobs[i], schedule);
    const std::size_t n = std::min(jobs[i].rows, jobs[i].columns);
    (threads > 1 && n > kPolarAlone ? result.together : result.alone)
        .push_back(i);
  }
  std::sort(result.alone.begin(), result.alone.end(),
            [&](std::size_t a, std::size_t b) {
              return costs[a] != costs[b] ? costs[a] > costs[b] : a < b;
            });
  // Longest first onto the least loaded thread: where that leaves one of them
  // idle for long, the costliest is done together instead.
  while (threads > 1 && !result.alone.empty()) {
    std::vector<double> load(threads, 0);
    double all = 0;
    for (const std::size_t i : result.alone) {
      *std::min_element(load.begin(), load.end()) += costs[i];
      all += costs[i];
    }
    const double longest = *std::max_element(load.begin(), load.end());
    if (longest <= 1.1 * all / static_cast<double>(threads)) break;
    // Two threads on one small matrix gain little.
    const PolarJob& job = jobs[result.alone.front()];
    if (std::min(job.rows, job.columns) < 64) break;
    result.together.push_back(result.alone.front());
    result.alone.erase(result.alone.begin());
  }
  return result;
}

}  // namespace

void fill_from_matrix(void* view, std::size_t row, std::size_t rows,
                      std::size_t column, std::size_t columns, float* to,
                      std::size_t stride) {
  const auto* matrix = static_cast<const MatrixView*>(view);
  for (std::size_t r = 0; r < rows; ++r) {
    std::memcpy(to + r * stride,
                matrix->data + (row + r) * matrix->stride + column,
                columns * sizeof(float));
  }
}

PolarFlops polar_flops(std::size_t rows, std::size_t columns,
                       const PolarSchedule& schedule) {
  const auto n = static_cast<double>(std::min(rows, columns));
  const auto m = static_cast<double>(std::max(rows, columns));
  const double cube = n * n * n;
  PolarFlops flops;
  const auto square = [&](double products) {
    (schedule.precision == PolarPrecision::kFloat32 ||
             schedule.precision == PolarPrecision::kMixed
         ? flops.float32
         : flops.bfloat16) += products * cube;
  };
  const auto across = [&](double products) {
    (schedule.precision == PolarPrecision::kFloat32 ? flops.float32
                                                    : flops.bfloat16) +=
        products * n * n * m;
  };
  const std::size_t count = schedule.steps.size();
  if (schedule.form == PolarForm::kStandard) {
    for (const PolarStep& step : schedule.steps) {
      across(3);
      if (step.c != 0) square(1);
    }
    return flops;
  }
  bool first = true;
  for (std::size_t t = 1; t <= count; ++t) {
    const bool last = t == count || is_restart(schedule, t);
    if (first) across(1);
    square(1);
    if (!first) square(1);
    if (last) {
      across(2);
    } else {
      square(2);
    }
    first = last;
  }
  return flops;
}

void polar_factors(std::span<const PolarJob> jobs,
                   const PolarSchedule& schedule, core::ThreadPool& pool,
                   SimdLevel level) {
  check(schedule);
  const ProductTable& table = product_table(level);
  const Split parts = split(jobs, schedule, pool.size());
  const auto largest = [&](const std::vector<std::size_t>& some) {
    std::size_t bytes = 0;
    for (const std::size_t i : some) {
      bytes = std::max(bytes, iteration_bytes(jobs[i], schedule));
    }
    return bytes;
  };
  const std::size_t team_bytes = largest(parts.together);
  const std::size_t own_bytes = largest(parts.alone);

  Memory& kept = memory();
  const std::scoped_lock lock(kept.mutex);
  kept.team.reserve(Workspace::rounded(team_bytes));
  std::byte* team_memory = kept.team.take(team_bytes);
  if (kept.own.size() < pool.size()) kept.own.resize(pool.size());
  // Here and not by the threads: one that found no memory would leave the
  // others at a barrier.
  for (std::size_t rank = 0; rank < pool.size(); ++rank) {
    kept.own[rank].reserve(Workspace::rounded(ProductScratch::bytes()) +
                           Workspace::rounded(own_bytes));
  }

  TeamState together(pool.size());
  std::atomic<std::size_t> next{0};
  pool.run([&](std::size_t rank) {
    Workspace& own = kept.own[rank];
    const ProductScratch scratch{
        reinterpret_cast<float*>(own.take(ProductScratch::bytes()))};
    std::byte* own_memory = own.take(own_bytes);
    Team team(together, rank);
    for (const std::size_t i : parts.together) {
      iterate(team, table, jobs[i], schedule, team_memory, scratch);
    }
    TeamState lone_state(1);
    while (true) {
      const std::size_t at = next.fetch_add(1, std::memory_order_relaxed);
      if (at >= parts.alone.size()) break;
      Team lone(lone_state, 0);
      iterate(lone, table, jobs[parts.alone[at]], schedule, own_memory,
              scratch);
    }
  });
}

}  // namespace muonlab::kernels
