// Products of row-major activations on one thread, each beside a burst of
// independent multiply-adds just before and after it: `share` is of that peak.
#include "muonlab/kernels/row_product.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "muonlab/kernels/peak.h"

namespace {

namespace core = muonlab::core;
namespace kernels = muonlab::kernels;
using kernels::Element;

// Values near 1, of either element; large enough for `n`.
std::vector<std::uint16_t> values(std::size_t n, Element element) {
  std::vector<std::uint16_t> memory(n * kernels::bytes_of(element) / 2);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 1664525 + 1013904223;
    const float x = static_cast<float>(state >> 8U) * 0x1p-24F - 0.5F;
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if (element == Element::kBFloat16) {
      memory[i] = static_cast<std::uint16_t>(bits >> 16U);
    } else {
      std::memcpy(&memory[2 * i], &bits, sizeof bits);
    }
  }
  return memory;
}

struct Case {
  kernels::SimdLevel level;
  Element element;
  std::size_t a, b, c;
};

// The median share of the peak; slices where another process had the core do
// not count.
template <typename Function>
void measure(benchmark::State& state, const Case& x, Function function) {
  using Clock = std::chrono::steady_clock;
  kernels::PeakMeter meter(core::shared_pool(1), x.level, x.element, 2e-4);
  const double flops = 2.0 * static_cast<double>(x.a) *
                       static_cast<double>(x.b) * static_cast<double>(x.c);
  std::vector<double> shares;
  double best = 0;
  double before = meter.burst();
  for (auto unused : state) {
    const auto begin = Clock::now();
    function();
    const std::chrono::duration<double> taken = Clock::now() - begin;
    const double after = meter.burst();
    shares.push_back(flops / taken.count() / std::max(before, after));
    best = std::max(best, flops / taken.count());
    before = after;
  }
  std::nth_element(shares.begin(),
                   shares.begin() + static_cast<long>(shares.size() / 2),
                   shares.end());
  state.counters["GFLOP/s"] = best * 1e-9;
  state.counters["share"] = shares[shares.size() / 2];
}

void rows(benchmark::State& state, const Case& x) {
  const auto left = values(x.a * x.b, x.element);
  const auto right = values(x.c * x.b, x.element);
  std::vector<std::uint16_t> result(x.a * x.c * 2);
  kernels::Workspace workspace;
  const kernels::PackedShape shape(x.c, x.b, x.element);
  const std::size_t scratch_bytes = kernels::row_product_scratch_bytes();
  workspace.reserve(kernels::Workspace::rounded(shape.bytes()) +
                    kernels::Workspace::rounded(scratch_bytes));
  const kernels::Packed packed = workspace.take(shape);
  std::byte* scratch = workspace.take(scratch_bytes);
  kernels::pack_rows(packed, {right.data(), x.b, x.element}, 0, shape.panels(),
                     x.level);
  const kernels::RowProduct product{.left = {left.data(), x.b, x.element},
                                    .right = packed,
                                    .addend = {},
                                    .result = {result.data(), x.c, x.element}};
  measure(state, x,
          [&] { kernels::multiply_rows(product, 0, x.a, scratch, x.level); });
}

void transposed(benchmark::State& state, const Case& x) {
  const auto left = values(x.a * x.b, x.element);
  const auto right = values(x.a * x.c, x.element);
  std::vector<float> result(x.b * x.c);
  kernels::Workspace workspace;
  const std::size_t scratch_bytes = kernels::row_product_scratch_bytes();
  workspace.reserve(kernels::Workspace::rounded(scratch_bytes));
  std::byte* scratch = workspace.take(scratch_bytes);
  const kernels::TransposedProduct product{
      .left = {left.data(), x.b, x.element},
      .right = {right.data(), x.c, x.element},
      .depth = x.a,
      .columns = x.c,
      .accumulate = true,
      .scale = 0.5F,
      .result = result.data(),
      .result_stride = x.c};
  measure(state, x, [&] {
    kernels::multiply_transposed(product, 0, x.b, scratch, x.level);
  });
}

void pack(benchmark::State& state, const Case& x, bool columns) {
  const auto from = values(x.a * x.b, x.element);
  const kernels::PackedShape shape(columns ? x.b : x.a, columns ? x.a : x.b,
                                   x.element);
  kernels::Workspace workspace;
  workspace.reserve(kernels::Workspace::rounded(shape.bytes()));
  const kernels::Packed packed = workspace.take(shape);
  for (auto unused : state) {
    (columns ? kernels::pack_columns : kernels::pack_rows)(
        packed, {from.data(), x.b, x.element}, 0, shape.panels(), x.level);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(
      state.iterations() * x.a * x.b * kernels::bytes_of(x.element)));
}

void register_all() {
  const auto add = [](const std::string& what, const Case& x, auto function) {
    const std::string name =
        what + "/" + std::string(kernels::simd_level_name(x.level)) +
        (x.element == Element::kFloat32 ? "/float32/" : "/bfloat16/") +
        std::to_string(x.a) + "x" + std::to_string(x.b) + "x" +
        std::to_string(x.c);
    benchmark::RegisterBenchmark(name.c_str(), function)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  };
  for (const kernels::SimdLevel level : kernels::available_simd_levels()) {
    if (level == kernels::SimdLevel::kScalar) continue;
    for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
      // Rows, depth, columns.
      for (const auto& [a, b, c] : {std::array<std::size_t, 3>{2048, 256, 768},
                                    {2048, 672, 256},
                                    {1024, 512, 2752},
                                    {1024, 256, 8192}}) {
        const Case x{level, element, a, b, c};
        add("rows", x, [x](benchmark::State& s) { rows(s, x); });
      }
      // Depth, rows, columns.
      for (const auto& [a, b, c] : {std::array<std::size_t, 3>{4096, 768, 256},
                                    {4096, 256, 672},
                                    {2048, 1536, 512}}) {
        const Case x{level, element, a, b, c};
        add("transposed", x, [x](benchmark::State& s) { transposed(s, x); });
      }
      const Case x{level, element, 1536, 512, 1};
      add("pack_rows", x, [x](benchmark::State& s) { pack(s, x, false); });
      add("pack_columns", x, [x](benchmark::State& s) { pack(s, x, true); });
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
