// The row passes at every level, on one thread and shapes of small language
// models; items are values of the input.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/kernels/row_passes.h"

namespace {

namespace core = muonlab::core;
namespace kernels = muonlab::kernels;
using kernels::Activation;
using kernels::Element;
using kernels::Rows;
using kernels::SimdLevel;

/// Normal values in memory of either element.
class Matrix {
 public:
  Matrix(std::size_t rows, std::size_t columns, Element element)
      : floats_(rows * columns),
        halves_(rows * columns),
        columns_(columns),
        element_(element) {
    const core::Random random(1, "row_passes");
    for (std::size_t i = 0; i < floats_.size(); ++i) {
      floats_[i] = static_cast<float>(random.normal(0, i));
    }
    kernels::convert(rows, columns, {floats_.data(), columns},
                     {halves_.data(), columns, Element::kBFloat16});
  }
  [[nodiscard]] float* floats() { return floats_.data(); }
  [[nodiscard]] std::uint16_t* halves() { return halves_.data(); }
  [[nodiscard]] Rows rows() {
    if (element_ == Element::kFloat32) return {floats(), columns_, element_};
    return {halves(), columns_, element_};
  }

 private:
  std::vector<float> floats_;
  std::vector<std::uint16_t> halves_;
  std::size_t columns_;
  Element element_;
};

/// name/LEVEL for each level: a block of rows x columns, again and again.
void add(const std::string& name, std::size_t rows, std::size_t columns,
         const std::function<std::function<void(SimdLevel)>()>& make) {
  for (const SimdLevel level : kernels::available_simd_levels()) {
    // Its passes are those of avx512.
    if (level == SimdLevel::kAvx512Bf16) continue;
    const std::string full =
        name + "/" + std::string(kernels::simd_level_name(level));
    benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
      const auto run = make();
      for (auto unused : state) run(level);
      state.SetItemsProcessed(state.iterations() *
                              static_cast<std::int64_t>(rows * columns));
    })->Unit(benchmark::kMicrosecond);
  }
}

constexpr std::size_t kRows = 2048;
constexpr std::size_t kWidth = 256;
constexpr std::size_t kHidden = 672;

void add_norms() {
  for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
    const std::string tail =
        element == Element::kFloat32 ? "/float32" : "/bfloat16";
    add("rms_norm" + tail, kRows, kWidth, [=] {
      return [x = Matrix(kRows, kWidth, Element::kFloat32),
              y = Matrix(kRows, kWidth, element),
              gain = std::vector<float>(kWidth, 1.F),
              inverse = std::vector<float>(kRows)](SimdLevel level) mutable {
        kernels::rms_norm(kRows, kWidth, x.floats(), kWidth, gain.data(), 1e-6F,
                          y.rows(), inverse.data(), level);
      };
    });
    add("rms_norm_backward" + tail, kRows, kWidth, [=] {
      return
          [x = Matrix(kRows, kWidth, Element::kFloat32),
           dy = Matrix(kRows, kWidth, element),
           dx = Matrix(kRows, kWidth, Element::kFloat32),
           gain = std::vector<float>(kWidth, 1e-3F),
           dgain = std::vector<float>(kWidth),
           inverse = std::vector<float>(kRows, 1.F)](SimdLevel level) mutable {
            kernels::rms_norm_backward(
                kRows, kWidth, dy.rows(), x.floats(), kWidth, gain.data(),
                inverse.data(), dx.floats(), kWidth, {}, dgain.data(), level);
          };
    });
    add("prepare_heads" + tail, kRows, kWidth, [=] {
      return
          [x = Matrix(kRows, kWidth, element),
           angles = std::vector<float>(kRows * 32, 0.7F),
           inverse = std::vector<float>(kRows * 4)](SimdLevel level) mutable {
            kernels::prepare_heads(kRows,
                                   {.heads = 4,
                                    .features = 64,
                                    .context = kRows,
                                    .cosine = angles.data(),
                                    .sine = angles.data(),
                                    .norm = true,
                                    .eps = 1e-6F},
                                   x.rows(), inverse.data(), level);
          };
    });
    add("prepare_heads_backward" + tail, kRows, kWidth, [=] {
      return [y = Matrix(kRows, kWidth, element),
              d = Matrix(kRows, kWidth, element),
              angles = std::vector<float>(kRows * 32, 0.7F),
              inverse =
                  std::vector<float>(kRows * 4, 1.F)](SimdLevel level) mutable {
        kernels::prepare_heads_backward(kRows,
                                        {.heads = 4,
                                         .features = 64,
                                         .context = kRows,
                                         .cosine = angles.data(),
                                         .sine = angles.data(),
                                         .norm = true,
                                         .eps = 1e-6F},
                                        y.rows(), inverse.data(), d.rows(),
                                        level);
      };
    });
  }
}

void add_activations() {
  for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
    const std::string tail =
        element == Element::kFloat32 ? "/float32" : "/bfloat16";
    for (const auto& [name, kind] : {std::pair{"swiglu", Activation::kSwiGlu},
                                     std::pair{"geglu", Activation::kGeGlu},
                                     std::pair{"relu2", Activation::kRelu2}}) {
      const std::size_t columns = is_gated(kind) ? 2 * kHidden : kHidden;
      add(std::string("activate/") + name + tail, kRows, columns,
          [=, kind = kind] {
            return
                [=, x = Matrix(kRows, columns, element),
                 y = Matrix(kRows, kHidden, element)](SimdLevel level) mutable {
                  kernels::activate(kind, kRows, kHidden, x.rows(), y.rows(),
                                    level);
                };
          });
    }
    // In place: the values change from run to run and stay finite.
    add("activate_backward/swiglu" + tail, kRows, 2 * kHidden, [=] {
      return [x = Matrix(kRows, 2 * kHidden, element),
              d = Matrix(kRows, kHidden, element)](SimdLevel level) mutable {
        kernels::activate_backward(Activation::kSwiGlu, kRows, kHidden,
                                   x.rows(), d.rows(), level);
      };
    });
  }
}

void add_head() {
  for (const auto& [rows, vocabulary] :
       {std::pair<std::size_t, std::size_t>{256, 4096}, {16, 151'936}}) {
    for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
      const std::string name =
          "cross_entropy/" + std::to_string(vocabulary) +
          (element == Element::kFloat32 ? "/float32" : "/bfloat16");
      add(name, rows, vocabulary, [=, rows = rows, vocabulary = vocabulary] {
        return [=, x = Matrix(rows, vocabulary, element),
                d = Matrix(rows, vocabulary, Element::kBFloat16),
                targets = std::vector<std::int64_t>(rows, 7),
                losses = std::vector<float>(rows)](SimdLevel level) mutable {
          kernels::cross_entropy(rows, vocabulary, x.rows(), targets.data(),
                                 1.F, losses.data(), d.rows(), level);
        };
      });
    }
  }
}

void add_memory() {
  add("convert/to_bfloat16", kRows, kWidth, [] {
    return [x = Matrix(kRows, kWidth, Element::kFloat32),
            y = Matrix(kRows, kWidth, Element::kBFloat16)](
               SimdLevel level) mutable {
      kernels::convert(kRows, kWidth, x.rows(), y.rows(), level);
    };
  });
}

}  // namespace

int main(int argc, char** argv) {
  add_norms();
  add_activations();
  add_head();
  add_memory();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
