// The element-wise kernels at every level, beside LibTorch's on the same
// memory. 28 bytes a value in AdamW's step (four arrays read, three written), 4
// in a norm.
#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "muonlab/kernels/elementwise_list.h"

namespace {

namespace core = muonlab::core;
namespace kernels = muonlab::kernels;

constexpr double kLr = 1e-3;
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.95;
constexpr double kDecay = 0.1;
constexpr double kEps = 1e-8;
constexpr double kUpdate = 10;  // its number

struct Arrays {
  explicit Arrays(std::int64_t n) {
    torch::manual_seed(1);
    for (const bool positive : {false, false, false, true}) {
      at::Tensor x = torch::randn({n});
      tensors.push_back(positive ? x.mul(x) : x);
    }
  }
  [[nodiscard]] float* data(std::size_t i) {
    return tensors[i].data_ptr<float>();
  }
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(tensors[0].numel());
  }

  std::vector<at::Tensor> tensors;  // weight, gradient and moments
};

// One set at a time: the large one takes 1.6 GB.
Arrays& arrays(std::int64_t n) {
  static std::unique_ptr<Arrays> made;
  if (!made || made->size() != static_cast<std::size_t>(n)) {
    made.reset();
    made = std::make_unique<Arrays>(n);
  }
  return *made;
}

void own_adam(Arrays& a, core::ThreadPool& pool, kernels::SimdLevel level) {
  const auto rounded = [](double x) { return static_cast<float>(x); };
  const kernels::AdamScalars scalars{
      .beta1 = rounded(kBeta1),
      .one_minus_beta1 = rounded(1 - kBeta1),
      .beta2 = rounded(kBeta2),
      .one_minus_beta2 = rounded(1 - kBeta2),
      .root_correction = rounded(std::sqrt(1 - std::pow(kBeta2, kUpdate))),
      .eps = rounded(kEps),
      .coupling = {.keep = rounded(1 - kLr * kDecay),
                   .step = rounded(kLr / (1 - std::pow(kBeta1, kUpdate)))}};
  const kernels::AdamTask task{a.data(0), a.data(1), a.data(2),
                               a.data(3), a.size(),  scalars};
  kernels::adam_list({&task, 1}, pool, level);
}

void torch_adam(Arrays& a) {
  const at::Tensor count = torch::full({}, kUpdate);
  at::_fused_adamw_({a.tensors[0]}, {a.tensors[1]}, {a.tensors[2]},
                    {a.tensors[3]}, {}, {count}, kLr, kBeta1, kBeta2, kDecay,
                    kEps, /*amsgrad=*/false, /*maximize=*/false);
}

// Both round each operation of the same formula, some in another order: a few
// units in the last place of the weight and of the update, whose size is that
// of m / sqrt(v).
bool same_adam(kernels::SimdLevel level) {
  Arrays own(10007);
  Arrays torch(10007);
  own_adam(own, core::shared_pool(2), level);
  torch_adam(torch);
  const at::Tensor update = own.tensors[2].abs() / own.tensors[3].sqrt();
  const at::Tensor bound =
      0x1p-24 * (4 * own.tensors[0].abs() + 16 * kLr * update);
  return (own.tensors[0] - torch.tensors[0]).abs().le(bound).all().item<bool>();
}

void adam(benchmark::State& state, std::int64_t n, std::size_t threads,
          kernels::SimdLevel level) {
  if (!same_adam(level)) return state.SkipWithError("differs from LibTorch");
  Arrays& a = arrays(n);
  core::ThreadPool& pool = core::shared_pool(threads);
  for (auto unused : state) own_adam(a, pool, level);
  state.SetBytesProcessed(state.iterations() * n * 28);
}

void adam_torch(benchmark::State& state, std::int64_t n, int threads) {
  Arrays& a = arrays(n);
  at::set_num_threads(threads);
  for (auto unused : state) torch_adam(a);
  state.SetBytesProcessed(state.iterations() * n * 28);
}

void norm(benchmark::State& state, std::int64_t n, std::size_t threads,
          kernels::SimdLevel level) {
  Arrays& a = arrays(n);
  core::ThreadPool& pool = core::shared_pool(threads);
  const kernels::ConstArray gradient{a.data(1), a.size()};
  double sum = 0;
  for (auto unused : state) {
    sum =
        kernels::summarise_list({&gradient, 1}, pool, level)[0].sum_of_squares;
  }
  const double exact =
      a.tensors[1].to(at::kDouble).square().sum().item<double>();
  // Both sum in float64: at most n roundings.
  if (std::abs(sum - exact) > static_cast<double>(n) * 0x1p-52 * exact) {
    state.SkipWithError("differs from the sum in float64");
  }
  state.SetBytesProcessed(state.iterations() * n * 4);
}

void norm_torch(benchmark::State& state, std::int64_t n, int threads) {
  Arrays& a = arrays(n);
  at::set_num_threads(threads);
  for (auto unused : state) {
    benchmark::DoNotOptimize(at::linalg_vector_norm(a.tensors[1]).item());
  }
  state.SetBytesProcessed(state.iterations() * n * 4);
}

void register_all() {
  const auto row = [](const std::string& name, auto function) {
    benchmark::RegisterBenchmark(name.c_str(), function)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  };
  for (const auto& [size, n] :
       {std::pair{"1M", 1'000'000L}, {"100M", 100'000'000L}}) {
    for (const int threads : {1, 2}) {
      const auto count = static_cast<std::size_t>(threads);
      const std::string tail = "/" + std::to_string(threads) +
                               (threads == 1 ? "thread/" : "threads/") + size;
      for (const kernels::SimdLevel level : kernels::available_simd_levels()) {
        // Its element-wise kernels are those of avx512.
        if (level == kernels::SimdLevel::kAvx512Bf16) continue;
        const std::string name(kernels::simd_level_name(level));
        row("adam/" + name + tail,
            [=](benchmark::State& s) { adam(s, n, count, level); });
        row("norm/" + name + tail,
            [=](benchmark::State& s) { norm(s, n, count, level); });
      }
      row("adam/torch" + tail,
          [=](benchmark::State& s) { adam_torch(s, n, threads); });
      row("norm/torch" + tail,
          [=](benchmark::State& s) { norm_torch(s, n, threads); });
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const at::NoGradGuard no_grad;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
