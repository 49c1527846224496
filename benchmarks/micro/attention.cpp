// Attention of one head on one thread, as part of the peak that a burst of the
// same element reaches in the same run. Flops count the causal half: 2 T^2 D
// forward, 5 T^2 D backward.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/core/thread_pool.h"
#include "muonlab/kernels/attention.h"
#include "muonlab/kernels/packed.h"
#include "muonlab/kernels/peak.h"

namespace {

namespace core = muonlab::core;
namespace kernels = muonlab::kernels;
using kernels::Element;

struct Head {
  Head(std::size_t t, std::size_t d, Element e)
      : tokens(t), features(d), element(e), lse(t) {
    const core::Random random(1, "attention");
    // bfloat16 values of about 1: the upper half of a float.
    floats.resize(kParts * t * d);
    halves.resize(floats.size());
    for (std::size_t i = 0; i < floats.size(); ++i) {
      floats[i] = static_cast<float>(random.normal(0, i));
      halves[i] = static_cast<std::uint16_t>(
          std::bit_cast<std::uint32_t>(floats[i]) >> 16);
    }
    const std::size_t bytes = kernels::attention_scratch_bytes(t, d, e);
    memory.reserve(kernels::Workspace::rounded(bytes));
    scratch = memory.take(bytes);
  }
  // q, k, v, o, d_o, dq, dk, dv.
  [[nodiscard]] kernels::Rows rows(std::size_t part) {
    const std::size_t at = part * tokens * features;
    void* data = element == Element::kFloat32
                     ? static_cast<void*>(floats.data() + at)
                     : static_cast<void*>(halves.data() + at);
    return {data, features, element};
  }
  void forward(kernels::SimdLevel level) {
    kernels::attention_forward(
        {.tokens = tokens,
         .features = features,
         .scale = 1 / std::sqrt(static_cast<float>(features)),
         .q = rows(0),
         .k = rows(1),
         .v = rows(2),
         .o = rows(3),
         .lse = lse.data(),
         .largest_logit = nullptr},
        scratch, level);
  }
  void backward(kernels::SimdLevel level) {
    kernels::attention_backward(
        {.tokens = tokens,
         .features = features,
         .scale = 1 / std::sqrt(static_cast<float>(features)),
         .q = rows(0),
         .k = rows(1),
         .v = rows(2),
         .o = rows(3),
         .lse = lse.data(),
         .d_o = rows(4),
         .dq = rows(5),
         .dk = rows(6),
         .dv = rows(7)},
        scratch, level);
  }

  static constexpr std::size_t kParts = 8;
  std::size_t tokens, features;
  Element element;
  std::vector<float> floats, lse;
  std::vector<std::uint16_t> halves;
  kernels::Workspace memory;
  std::byte* scratch = nullptr;
};

void attention(benchmark::State& state, kernels::SimdLevel level,
               Element element, std::size_t tokens, std::size_t features,
               bool backward) {
  using Clock = std::chrono::steady_clock;
  Head head(tokens, features, element);
  head.forward(level);
  core::ThreadPool& pool = core::shared_pool(1);
  kernels::PeakMeter meter(pool, level, element);
  double peak = meter.burst();
  double best = 1e9;
  std::int64_t count = 0;
  for (auto unused : state) {
    const auto begin = Clock::now();
    backward ? head.backward(level) : head.forward(level);
    const std::chrono::duration<double> seconds = Clock::now() - begin;
    best = std::min(best, seconds.count());
    if (++count % 16 == 0) {
      state.PauseTiming();
      peak = std::max(peak, meter.burst());
      state.ResumeTiming();
    }
  }
  const double flops = (backward ? 5. : 2.) * static_cast<double>(tokens) *
                       static_cast<double>(tokens) *
                       static_cast<double>(features);
  state.counters["GFLOP/s"] = flops / best * 1e-9;
  state.counters["of_peak_%"] = 100 * flops / best / peak;
}

void register_all() {
  for (const kernels::SimdLevel level : kernels::available_simd_levels()) {
    for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
      for (const std::size_t features : {32, 64, 96, 128}) {
        for (const std::size_t tokens : {128, 256, 512, 1024, 4096}) {
          for (const bool backward : {false, true}) {
            const std::string name =
                std::string(backward ? "backward/" : "forward/") +
                std::string(kernels::simd_level_name(level)) +
                (element == Element::kFloat32 ? "/float32" : "/bfloat16") +
                "/D" + std::to_string(features) + "/T" + std::to_string(tokens);
            benchmark::RegisterBenchmark(name.c_str(),
                                         [=](benchmark::State& s) {
                                           attention(s, level, element, tokens,
                                                     features, backward);
                                         })
                ->Unit(benchmark::kMicrosecond)
                ->UseRealTime();
          }
        }
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
