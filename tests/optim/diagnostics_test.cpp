#include "muonlab/optim/diagnostics.h"

#include <torch/torch.h>

#include <cmath>

#include "muonlab/optim/route.h"
#include "tests/optim/parameters_module.h"
#include "tests/support/tensors.h"

namespace muonlab::optim {
namespace {

using formats::Json;
using testing::Parameters;
using testing::random_tensor;
using testing::same_bits;
using testing::set_gradient;

double value(const Json& layers, const char* layer, const char* key) {
  return formats::number_from_json(layers.at(layer).at(key), key);
}

struct Watched {
  Parameters module;
  at::Tensor w;
  at::Tensor gain;
  std::unique_ptr<Optimizer> optimizer;
  Diagnostics diagnostics;

  explicit Watched(const GroupOptions& options,
                   DiagnosticsOptions what = {.every = 1, .spectra_every = 1},
                   at::ScalarType type = at::kDouble)
      : diagnostics(what) {
    w = module.add("w", random_tensor({8, 6}, 1).to(type), Role::kMatrix,
                   {{"a", 3}, {"b", 5}});
    gain = module.add("gain", random_tensor({6}, 2).to(type), Role::kGain);
    optimizer = std::make_unique<Optimizer>(route(module, options));
    optimizer->set_observer(&diagnostics);
  }
  Json step(std::int64_t number) {
    diagnostics.begin(number);
    set_gradient(w, random_tensor({8, 6}, 10 + std::uint64_t(number)));
    set_gradient(gain, random_tensor({6}, 20 + std::uint64_t(number)));
    optimizer->step();
    return diagnostics.take();
  }
};

TEST(Diagnostics, MeasureTheStepThatWasTaken) {
  // The exact polar factor: every figure is known beforehand.
  Watched run(muonw().lr(0.1).weight_decay(0.5).set("polar_method", "svd"));
  const at::Tensor before = run.w.detach().clone();
  const Json layers = run.step(1);
  const at::Tensor a0 = before.narrow(0, 0, 3);
  const at::Tensor a1 = run.w.detach().narrow(0, 0, 3);
  constexpr double kBound = 1e-12;
  EXPECT_NEAR(value(layers, "w.a", "w_rms"),
              a1.norm().item<double>() / std::sqrt(18.0), kBound);
  EXPECT_NEAR(value(layers, "w.a", "u_rms_expected"), 0.2, kBound);
  EXPECT_NEAR(value(layers, "w.a", "u_rms"), 0.2, kBound);
  EXPECT_NEAR(value(layers, "w.b", "u_rms"), 0.2, kBound);
  EXPECT_NEAR(value(layers, "w.a", "u_w_ratio"),
              ((a1 - a0).norm() / a0.norm()).item<double>(), kBound);
  EXPECT_NEAR(
      value(layers, "w.a", "angle"),
      std::acos(((a0 * a1).sum() / a0.norm() / a1.norm()).item<double>()),
      1e-7);
  EXPECT_NEAR(value(layers, "w.a", "ortho_err"), 0, kBound);
  // s4 of a 3 x 6 matrix.
  EXPECT_NEAR(value(layers, "w.a", "u_norm"), 0.2 * std::sqrt(6.0), 1e-6);
  // W - W0 holds decay and update; the update alone has a flat spectrum.
  EXPECT_GT(value(layers, "w.a", "d_entropy"), 0.5);
  EXPECT_LE(value(layers, "w.a", "w_entropy"), 1);
  EXPECT_GT(value(layers, "w.a", "cos_adam"), 0.5)
      << "at the first step Adam's direction is sign(G)";
  EXPECT_TRUE(layers.contains("gain"));
  EXPECT_FALSE(layers["gain"].contains("w_entropy"));
}

TEST(Diagnostics, ChangeNoNumber) {
  Watched watched(adamuon());
  Watched plain(adamuon());
  plain.optimizer->set_observer(nullptr);
  for (std::int64_t step = 1; step <= 3; ++step) {
    (void)watched.step(step);
    (void)plain.step(step);
  }
  EXPECT_TRUE(same_bits(watched.w.detach(), plain.w.detach()));
}

TEST(Diagnostics, ComeWhenTheyAreDueAndForTheNamedSubset) {
  Watched run(muon(), {.every = 2, .spectra_every = 4, .spectra = "x*"});
  EXPECT_FALSE(run.step(1).empty()) << "the first step is always watched";
  EXPECT_TRUE(run.step(3).empty());
  const Json layers = run.step(4);
  EXPECT_TRUE(layers.contains("w.a"));
  EXPECT_FALSE(layers["w.a"].contains("w_entropy")) << "does not match x*";
  Watched off(muon(), {.every = 0, .spectra_every = 0});
  EXPECT_TRUE(off.step(1).empty());
}

TEST(Diagnostics, CountUpdatesThatBfloat16Swallows) {
  // One unit in the last place of a bfloat16 is 2^-8 of the value or more, so
  // a step of 1e-6 moves next to nothing, and one of 1 nearly all.
  for (const auto& [lr, most, least] :
       {std::tuple(1e-6, 1.0, 0.9), std::tuple(1.0, 0.1, 0.0)}) {
    Watched run(muon().lr(lr), {.every = 1, .spectra_every = 0}, at::kBFloat16);
    const double share = value(run.step(1), "w.b", "swallowed");
    EXPECT_LE(share, most) << lr;
    EXPECT_GE(share, least) << lr;
  }
}

}  // namespace
}  // namespace muonlab::optim
