#include "muonlab/linalg/polar_chooser.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>

#include "muonlab/core/files.h"
#include "muonlab/formats/json.h"
#include "muonlab/linalg/packed_polar.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace muonlab::linalg {
namespace {

using testing::random_tensor;
using testing::same_bits;
using testing::TemporaryFolder;

// Chooses with a cache of its own.
class PolarChooser : public ::testing::Test {
 protected:
  PolarChooser() { ::setenv("MUONLAB_CACHE", folder_.path().c_str(), 1); }
  ~PolarChooser() override { ::unsetenv("MUONLAB_CACHE"); }
  void SetUp() override {
    if (polar_backend() == "aten") {
      GTEST_SKIP() << "MUONLAB_POLAR=aten: there is nothing to choose from";
    }
  }
  [[nodiscard]] std::filesystem::path file() const {
    return folder_ / "polar.json";
  }
  TemporaryFolder folder_;
};

const PolarOptions kNarrow = {.method = PolarMethod::kAuto,
                              .dtype = PolarDtype::kBFloat16};

TEST_F(PolarChooser, TakesTheFastestOfWhatItMeasured) {
  const PolarOptions chosen = chosen_polar(kNarrow, 33, 140);
  const auto choices = polar_choices();
  ASSERT_FALSE(choices.empty());
  const PolarChoice& choice = choices.back();
  EXPECT_EQ(choice.rows, 33);
  EXPECT_EQ(choice.columns, 140);
  EXPECT_EQ(choice.options, chosen);
  double best = 0;
  std::string name;
  for (const PolarCandidate& c : choice.candidates) {
    if (c.seconds > 0 && (best == 0 || c.seconds < best)) {
      best = c.seconds;
      name = c.name;
    }
  }
  EXPECT_EQ(choice.name, name);
  EXPECT_NE(chosen.method, PolarMethod::kAuto);
}

TEST_F(PolarChooser, RemembersInTheFileWhatItWillUseAgain) {
  const PolarOptions chosen = chosen_polar(kNarrow, 35, 140);
  EXPECT_EQ(chosen_polar(kNarrow, 35, 140), chosen);
  // A tall matrix is its transpose.
  EXPECT_EQ(chosen_polar(kNarrow, 140, 35), chosen);
  const formats::Json content = formats::read_json(file());
  ASSERT_EQ(content.size(), 1U);
  EXPECT_NE(content.begin().key().find("35x140"), std::string::npos);
  EXPECT_EQ(content.begin().value().get<std::string>(),
            polar_choices().back().name);
}

TEST_F(PolarChooser, TakesTheFilesWordAndMeasuresNothing) {
  (void)chosen_polar(kNarrow, 37, 141);
  formats::Json content = formats::read_json(file());
  std::string key = content.begin().key();
  key.replace(key.find("37x141"), 6, "37x142");
  content[key] = "gram float32";
  formats::write_json(file(), content);
  const PolarOptions chosen = chosen_polar(kNarrow, 37, 142);
  EXPECT_EQ(chosen.method, PolarMethod::kGram);
  EXPECT_EQ(chosen.dtype, PolarDtype::kFloat32);
  EXPECT_TRUE(polar_choices().back().candidates.empty());
}

TEST_F(PolarChooser, ABrokenFileIsOneThatRemembersNothing) {
  testing::write(file(), "{ not json");
  EXPECT_NE(chosen_polar(kNarrow, 39, 140).method, PolarMethod::kAuto);
  testing::write(file(), R"({"some key": "no form"})");
  EXPECT_NE(chosen_polar(kNarrow, 41, 140).method, PolarMethod::kAuto);
}

TEST_F(PolarChooser, SquareMatricesAndFloat32KeepTheirAccuracy) {
  EXPECT_NE(chosen_polar(kNarrow, 40, 41).dtype, PolarDtype::kMixed);
  const PolarOptions wide = {.method = PolarMethod::kAuto};
  EXPECT_EQ(chosen_polar(wide, 20, 100).dtype, PolarDtype::kFloat32);
}

TEST_F(PolarChooser, LeavesANamedMethodAlone) {
  const PolarOptions named = {.method = PolarMethod::kGram, .restarts = "1"};
  EXPECT_EQ(chosen_polar(named, 10, 20), named);
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(PolarChooser, AutoIsTheChosenFormToTheBit) {
  const at::Tensor m = random_tensor({30, 90}, 1).to(at::kFloat);
  EXPECT_TRUE(same_bits(polar_factor(m, kNarrow),
                        polar_factor(m, chosen_polar(kNarrow, 30, 90))));
  // In float64 nothing is measured.
  PolarOptions standard = kNarrow;
  standard.dtype = PolarDtype::kAuto;
  const at::Tensor wide = m.to(at::kDouble);
  EXPECT_TRUE(same_bits(polar_factor(wide, standard), polar_factor(wide, {})));
}

}  // namespace
}  // namespace muonlab::linalg
