#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "muonlab/core/files.h"
#include "muonlab/linalg/tensor_file.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"
#include "tests/optim/parameters_module.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace muonlab::optim {
namespace {

using testing::expect_error;
using testing::Parameters;
using testing::random_tensor;
using testing::same_bits;
using testing::set_gradient;
using testing::TemporaryFolder;

constexpr auto kKind = ErrorKind::kInvalidArgument;

// "w" under MuonW, "gain" under AdamW, "idle" never gets a gradient.
struct Training {
  Parameters module;
  at::Tensor w;
  at::Tensor gain;
  at::Tensor idle;
  std::unique_ptr<Optimizer> optimizer;

  Training() {
    w = module.add("w", random_tensor({6, 4}, 1).to(at::kFloat));
    gain =
        module.add("gain", random_tensor({4}, 2).to(at::kFloat), Role::kGain);
    idle = module.add("idle", random_tensor({2, 2}, 3).to(at::kFloat));
    optimizer = std::make_unique<Optimizer>(route(module, muonw()));
  }
  void steps(std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t step = first; step <= last; ++step) {
      set_gradient(w, random_tensor({6, 4}, 10 * step));
      set_gradient(gain, random_tensor({4}, 10 * step + 1));
      optimizer->step();
    }
  }
  void take_weights(const Training& other) {
    const at::NoGradGuard no_grad;
    w.copy_(other.w);
    gain.copy_(other.gain);
    idle.copy_(other.idle);
  }
};

void expect_same_continuation(
    const std::function<void(Training&, Training&)>& transfer) {
  Training straight;
  straight.steps(1, 3);
  Training resumed;
  resumed.take_weights(straight);
  transfer(straight, resumed);
  EXPECT_EQ(resumed.optimizer->updates(), straight.optimizer->updates());
  straight.steps(4, 6);
  resumed.steps(4, 6);
  EXPECT_TRUE(same_bits(resumed.w, straight.w));
  EXPECT_TRUE(same_bits(resumed.gain, straight.gain));
}

TEST(OptimizerState, SaveLoadStepIsBitwiseStepAsSafetensors) {
  const TemporaryFolder folder;
  expect_same_continuation([&](Training& from, Training& to) {
    from.optimizer->save(folder / "state");
    to.optimizer->load(folder / "state");
  });
}

TEST(OptimizerState, SaveLoadStepIsBitwiseStepAsATorchArchive) {
  expect_same_continuation([](Training& from, Training& to) {
    std::stringstream stream;
    torch::save(*from.optimizer, stream);
    torch::load(*to.optimizer, stream);
  });
}

TEST(OptimizerState, WithoutItTheContinuationDiffers) {
  Training straight;
  straight.steps(1, 3);
  Training resumed;
  resumed.take_weights(straight);
  straight.steps(4, 4);
  resumed.steps(4, 4);
  EXPECT_FALSE(same_bits(resumed.w, straight.w));
  EXPECT_FALSE(same_bits(resumed.gain, straight.gain));
}

TEST(OptimizerState, LoadedTensorsAreTheOptimizersOwn) {
  const TemporaryFolder folder;
  Training run;
  run.steps(1, 1);
  run.optimizer->save(folder / "a");
  run.optimizer->load(folder / "a");
  run.steps(2, 2);
  run.optimizer->save(folder / "b");
  EXPECT_FALSE(
      same_bits(linalg::load_tensors(folder / "a").tensors.at("w.momentum"),
                linalg::load_tensors(folder / "b").tensors.at("w.momentum")));
}

TEST(OptimizerState, OfANewOptimizerCanBeSavedAndLoaded) {
  const TemporaryFolder folder;
  Training fresh;
  fresh.optimizer->save(folder / "state");
  Training used;
  used.steps(1, 2);
  used.optimizer->load(folder / "state");
  for (const auto& [name, count] : used.optimizer->updates()) {
    EXPECT_EQ(count, 0) << name;
  }
}

using Tensors = std::map<std::string, at::Tensor>;

// Loads a state that `edit` has changed; expects a refusal with all the words
// and that nothing of it was taken.
void expect_refused(const std::function<void(Tensors&)>& edit,
                    const std::vector<std::string>& words) {
  const TemporaryFolder folder;
  Training run;
  run.steps(1, 2);
  run.optimizer->save(folder / "state");
  auto file = linalg::load_tensors(folder / "state");
  edit(file.tensors);
  linalg::save_tensors(folder / "edited",
                       {file.tensors.begin(), file.tensors.end()},
                       file.metadata);
  run.steps(3, 3);
  run.optimizer->save(folder / "before");
  expect_error(kKind, words, [&] { run.optimizer->load(folder / "edited"); });
  run.optimizer->save(folder / "after");
  const auto before = linalg::load_tensors(folder / "before").tensors;
  const auto after = linalg::load_tensors(folder / "after").tensors;
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) {
    EXPECT_TRUE(same_bits(after.at(name), tensor)) << name;
  }
  EXPECT_EQ(run.optimizer->updates().at("w"), 3);
}

TEST(OptimizerState, RefusesAParameterWithoutItsTensors) {
  expect_refused(
      [](Tensors& t) {
        for (const char* key : {"w.momentum", "w.step"}) t.erase(key);
      },
      {"'w'"});
}

TEST(OptimizerState, RefusesTensorsOfNobody) {
  expect_refused([](Tensors& t) { t["other.momentum"] = torch::zeros({2}); },
                 {"'other.momentum'", "no state"});
}

TEST(OptimizerState, RefusesAnotherShape) {
  expect_refused([](Tensors& t) { t["w.momentum"] = torch::zeros({4, 6}); },
                 {"'w'", "[4, 6]", "[6, 4]"});
  expect_refused(
      [](Tensors& t) { t["gain.second_moment"] = torch::zeros({5}); },
      {"'gain'", "[5]", "[4]"});
}

TEST(OptimizerState, RefusesAnotherDtype) {
  expect_refused(
      [](Tensors& t) { t["w.momentum"] = t["w.momentum"].to(at::kDouble); },
      {"'w'", "Double", "Float"});
}

TEST(OptimizerState, RefusesTheStateOfAnotherRule) {
  expect_refused(
      [](Tensors& t) { t["w.second_moment"] = torch::zeros({6, 4}); },
      {"'w.second_moment'", "no state"});
  expect_refused([](Tensors& t) { t.erase("gain.second_moment"); },
                 {"'gain'", "another rule"});
  expect_refused(
      [](Tensors& t) {
        t.erase("w.momentum");
        t.erase("w.step");
        t["w.second_moment"] = torch::zeros({6, 4});
      },
      {"'w'"});
}

TEST(OptimizerState, RefusesATensorThatIsNoState) {
  expect_refused([](Tensors& t) { t["w.third"] = torch::zeros({6, 4}); },
                 {"'w.third'"});
}

TEST(OptimizerState, NamesAllFaultsAtOnce) {
  expect_refused(
      [](Tensors& t) {
        t["w.momentum"] = torch::zeros({1, 1});
        t.erase("gain.second_moment");
        t["other.step"] = torch::tensor(std::int64_t{1});
      },
      {"'w'", "'gain'", "'other.step'"});
}

TEST(OptimizerState, RefusesATruncatedFile) {
  const TemporaryFolder folder;
  Training run;
  run.steps(1, 2);
  run.optimizer->save(folder / "state");
  const std::string whole = core::read_file(folder / "state");
  for (const std::size_t kept :
       {whole.size() - 1, whole.size() / 2, std::size_t{9}, std::size_t{0}}) {
    core::write_file(folder / "cut", whole.substr(0, kept));
    expect_error(ErrorKind::kCorruptData, {"cut"},
                 [&] { run.optimizer->load(folder / "cut"); });
  }
  EXPECT_EQ(run.optimizer->updates().at("w"), 2);
}

// A module whose parameters are chosen by name, all under the same rules.
struct Named {
  Parameters module;
  std::map<std::string, at::Tensor> weights;
  std::unique_ptr<Optimizer> optimizer;

  explicit Named(const std::vector<std::string>& names,
                 const RouteOptions& options = {}) {
    for (const std::string& name : names) {
      weights[name] = module.add(name, random_tensor({4, 3}, 9));
    }
    optimizer = std::make_unique<Optimizer>(route(module, options));
  }
  void step(std::uint64_t seed) {
    for (auto& [name, w] : weights) {
      set_gradient(w, random_tensor({4, 3}, seed));
    }
    optimizer->step();
  }
};

TEST(OptimizerState, FollowsRenamedRegroupedNewAndDroppedParameters) {
  const TemporaryFolder folder;
  Named before({"old_a", "old_b", "gone"});
  before.step(1);
  before.optimizer->save(folder / "state");
  RouteOptions regrouped;
  regrouped.groups = {{"slow", "b", {.lr = 1e-4}}};
  Named after({"a", "b", "added"}, regrouped);
  expect_error(kKind, {"'a' is missing", "'old_a' is not in the routing plan"},
               [&] { after.optimizer->load(folder / "state"); });
  const LoadReport report = after.optimizer->load(
      folder / "state",
      {.rename = {{"old_*", "*"}}, .allow_new = true, .allow_dropped = true});
  EXPECT_EQ(report.text(),
            "renamed: 'old_a' is now 'a'\n"
            "renamed: 'old_b' is now 'b'\n"
            "moved: 'b' from group 'hidden' to 'slow'\n"
            "new: 'added'\n"
            "dropped: 'gone'\n");
  EXPECT_TRUE(same_bits(after.optimizer->state_tensor("a", "momentum"),
                        before.optimizer->state_tensor("old_a", "momentum")));
  EXPECT_EQ(after.optimizer->updates().at("a"), 1);
  EXPECT_EQ(after.optimizer->updates().at("added"), 0);
}

TEST(OptimizerState, ConvertsMomentumConventions) {
  const TemporaryFolder folder;
  Named ema({"w"});
  for (std::uint64_t s = 1; s <= 3; ++s) ema.step(s);
  ema.optimizer->save(folder / "ema");
  RouteOptions ball;
  ball.hidden = muonw();
  Named direct({"w"}, ball);
  for (std::uint64_t s = 1; s <= 3; ++s) direct.step(s);
  direct.optimizer->save(folder / "ball");

  Named to_ball({"w"}, ball);
  const std::string text = to_ball.optimizer->load(folder / "ema").text();
  EXPECT_NE(text.find("rule muon is now muonw"), std::string::npos) << text;
  EXPECT_NE(text.find("ema to heavy-ball"), std::string::npos) << text;
  // Some ten roundings of sums of three gradients below 4 over 1 - .95.
  constexpr double kBound = 10 * 3 * 4 * 20 * 2.3e-16;
  EXPECT_TRUE(testing::close(to_ball.optimizer->state_tensor("w", "momentum"),
                             direct.optimizer->state_tensor("w", "momentum"),
                             kBound));
  Named to_ema({"w"});
  (void)to_ema.optimizer->load(folder / "ball");
  EXPECT_TRUE(testing::close(to_ema.optimizer->state_tensor("w", "momentum"),
                             ema.optimizer->state_tensor("w", "momentum"),
                             kBound));
}

TEST(OptimizerState, RefusesFilesThatAreNoState) {
  const TemporaryFolder folder;
  Training run;
  linalg::save_tensors(folder / "weights", {{"w", run.w}});
  expect_error(ErrorKind::kCorruptData, {"weights", "optimizer state"},
               [&] { run.optimizer->load(folder / "weights"); });
  expect_error(ErrorKind::kIo, {"missing"},
               [&] { run.optimizer->load(folder / "missing"); });
  std::stringstream stream;
  torch::serialize::OutputArchive foreign;
  foreign.write("x", run.w);
  foreign.save_to(stream);
  torch::serialize::InputArchive archive;
  archive.load_from(stream);
  expect_error(ErrorKind::kCorruptData, {"optimizer state"},
               [&] { run.optimizer->load(archive); });
}

}  // namespace
}  // namespace muonlab::optim
