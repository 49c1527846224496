#include "muonlab/kernels/peak.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/kernels/product_tables_internal.h"

namespace muonlab::kernels {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBursts = 9;

void check(double seconds) {
  MUONLAB_CHECK(seconds > 0 && seconds <= 10, "peak: seconds: got ", seconds,
                ", expected more than 0 and at most 10");
}

double median_burst(core::ThreadPool& pool, SimdLevel level, Element element,
                    double seconds) {
  PeakMeter meter(pool, level, element, seconds / (kBursts + 1));
  std::array<double, kBursts> rates{};
  for (double& rate : rates) rate = meter.burst();
  std::nth_element(rates.begin(), rates.begin() + kBursts / 2, rates.end());
  return rates[kBursts / 2];
}

}  // namespace

PeakMeter::PeakMeter(core::ThreadPool& pool, SimdLevel level, Element element,
                     double seconds)
    : pool_(pool) {
  check(seconds);
  const ProductTable& table = product_table(level);
  const bool wide = element == Element::kFloat32;
  run_ = wide ? table.burst_float32 : table.burst_bfloat16;
  flops_per_round_ = static_cast<double>(wide ? table.burst_flops_float32
                                              : table.burst_flops_bfloat16);
  // Until a burst takes a tenth of the time; then in proportion. The shortest
  // of three, since another process may have had the core.
  const auto shortest = [&] {
    return std::min(
        {seconds_of(rounds_), seconds_of(rounds_), seconds_of(rounds_)});
  };
  double taken = shortest();
  while (taken < 0.1 * seconds) {
    rounds_ *= 2;
    taken = shortest();
  }
  rounds_ = std::max<std::size_t>(
      1,
      static_cast<std::size_t>(static_cast<double>(rounds_) * seconds / taken));
}

double PeakMeter::burst() {
  const double operations = static_cast<double>(pool_.size()) *
                            static_cast<double>(rounds_) * flops_per_round_;
  return operations / seconds_of(rounds_);
}

double PeakMeter::seconds_of(std::size_t rounds) {
  core::Barrier together(pool_.size());
  // Of each thread: one that loses its core here must not start the clock when
  // the others are done.
  std::vector<Clock::time_point> begins(pool_.size());
  Clock::time_point end;
  std::atomic<float> sink{0};  // so that nothing is optimised away
  pool_.run([&](std::size_t rank) {
    together.wait();  // threads that slept are awake now
    begins[rank] = Clock::now();
    sink.store(run_(rounds), std::memory_order_relaxed);
    together.wait();
    if (rank == 0) end = Clock::now();
  });
  const Clock::time_point begin =
      *std::min_element(begins.begin(), begins.end());
  return std::max(std::chrono::duration<double>(end - begin).count(), 1e-9);
}

Peak measure_peak(core::ThreadPool& pool, SimdLevel level, double seconds) {
  check(seconds);
  return {median_burst(pool, level, Element::kFloat32, seconds),
          median_burst(pool, level, Element::kBFloat16, seconds)};
}

}  // namespace muonlab::kernels
