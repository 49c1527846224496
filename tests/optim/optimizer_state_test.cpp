#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>

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
      same_bits(linalg::load_tensors(folder / "a").tensors.at("w.first"),
                linalg::load_tensors(folder / "b").tensors.at("w.first")));
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

TEST(OptimizerState, RefusesAMissingParameter) {
  expect_refused(
      [](Tensors& t) {
        for (const char* key : {"w.first", "w.step"}) t.erase(key);
      },
      {"'w'"});
}

TEST(OptimizerState, RefusesAParameterThatThePlanDoesNotHave) {
  expect_refused(
      [](Tensors& t) {
        t["other.first"] = torch::zeros({2});
        t["other.step"] = torch::tensor(std::int64_t{1});
      },
      {"'other'", "not in the routing plan"});
}

TEST(OptimizerState, RefusesAnotherShape) {
  expect_refused([](Tensors& t) { t["w.first"] = torch::zeros({4, 6}); },
                 {"'w'", "[4, 6]", "[6, 4]"});
  expect_refused([](Tensors& t) { t["gain.second"] = torch::zeros({5}); },
                 {"'gain'", "[5]", "[4]"});
}

TEST(OptimizerState, RefusesAnotherDtype) {
  expect_refused(
      [](Tensors& t) { t["w.first"] = t["w.first"].to(at::kDouble); },
      {"'w'", "Double", "Float"});
}

TEST(OptimizerState, RefusesTheStateOfAnotherRule) {
  expect_refused([](Tensors& t) { t["w.second"] = torch::zeros({6, 4}); },
                 {"'w'", "another rule"});
  expect_refused([](Tensors& t) { t.erase("gain.second"); },
                 {"'gain'", "another rule"});
  expect_refused(
      [](Tensors& t) {
        t.erase("w.first");
        t.erase("w.step");
        t["w.second"] = torch::zeros({6, 4});
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
        t["w.first"] = torch::zeros({1, 1});
        t.erase("gain.second");
        t["other.step"] = torch::tensor(std::int64_t{1});
      },
      {"'w'", "'gain'", "'other'"});
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
