// What the cores can do, measured beside what is to be judged by it: clock
// rates change from minute to minute, and with the instruction set.
#pragma once

#include <cstddef>

#include "muonlab/core/thread_pool.h"
#include "muonlab/kernels/packed.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

struct Peak {
  double float32 = 0;   ///< flop/s of all threads together
  double bfloat16 = 0;  ///< the same with bfloat16 operands; where the level
                        ///< has no such products, what float32 reaches
};

/// Bursts of independent multiply-adds, by all threads of a pool at the same
/// time. The pool must outlive it.
class PeakMeter {
 public:
  /// A burst takes about `seconds`. Throws Error(kUnsupported) on a level that
  /// this machine lacks, Error(kInvalidArgument) unless `seconds` is in (0,
  /// 10].
  PeakMeter(core::ThreadPool& pool, SimdLevel level, Element element,
            double seconds = 1e-3);
  /// flop/s of one burst.
  [[nodiscard]] double burst();

 private:
  [[nodiscard]] double seconds_of(std::size_t rounds);

  core::ThreadPool& pool_;
  float (*run_)(std::size_t rounds) noexcept;
  double flops_per_round_;
  std::size_t rounds_ = 64;
};

/// Medians of several bursts, which take about `seconds` for each element.
[[nodiscard]] Peak measure_peak(core::ThreadPool& pool, SimdLevel level,
                                double seconds = 0.02);

}  // namespace muonlab::kernels
