#include "muonlab/train/load_run.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "muonlab/core/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/parts.h"

namespace muonlab::train {
namespace {

class LoadWeightsTest : public ::testing::Test {
 protected:
  LoadWeightsTest() : parts_(tiny_config()) {}

  void expect_corrupt(const linalg::NamedTensors& tensors,
                      const std::vector<std::string>& words) {
    const auto path = folder_ / "weights.safetensors";
    linalg::save_tensors(path, tensors);
    testing::expect_error(ErrorKind::kCorruptData, words,
                          [&] { load_weights(parts_.model, path); });
  }

  Parts parts_;
  testing::TemporaryFolder folder_;
};

TEST_F(LoadWeightsTest, BringsBackWhatWasSaved) {
  const auto path = folder_ / "weights.safetensors";
  linalg::save_tensors(path, named_parameters(parts_.model));
  const std::string saved = parts_.weights();
  (void)parts_.loop.run(0);
  EXPECT_NE(parts_.weights(), saved);
  load_weights(parts_.model, path);
  EXPECT_EQ(parts_.weights(), saved);
}

TEST_F(LoadWeightsTest, RefusesWeightsOfAnotherModel) {
  const auto all = named_parameters(parts_.model);
  auto fewer = all;
  fewer.pop_back();
  expect_corrupt(fewer, {"weights.safetensors", all.back().first, "missing"});
  auto reshaped = all;
  reshaped.front().second = at::zeros({3, 3});
  expect_corrupt(reshaped, {all.front().first, "another shape"});
  auto more = all;
  more.emplace_back("stranger", at::zeros({1}));
  expect_corrupt(more, {"weights.safetensors", "tensors"});
}

TEST_F(LoadWeightsTest, RefusesDamagedAndMissingFiles) {
  const auto path = folder_ / "weights.safetensors";
  linalg::save_tensors(path, named_parameters(parts_.model));
  const std::string bytes = core::read_file(path);
  testing::write(path, bytes.substr(0, bytes.size() - 7));
  testing::expect_error(ErrorKind::kCorruptData, {"weights.safetensors"},
                        [&] { load_weights(parts_.model, path); });
  testing::write(path, "");
  testing::expect_error(ErrorKind::kCorruptData, {"weights.safetensors"},
                        [&] { load_weights(parts_.model, path); });
  testing::expect_error(ErrorKind::kIo, {"missing.safetensors"}, [&] {
    load_weights(parts_.model, folder_ / "missing.safetensors");
  });
  testing::expect_error(ErrorKind::kIo, {"config.toml"},
                        [&] { (void)read_run(folder_.path()); });
}

TEST(OpenDataset, RefusesAVocabularyThatIsNotTheDatasets) {
  RunConfig config = tiny_config();
  config.model.vocabulary = 300;
  testing::expect_error(ErrorKind::kInvalidArgument,
                        {"model.vocabulary", "300", "257"},
                        [&] { (void)open_dataset(config); });
  config = tiny_config();
  config.data_path = "nowhere/at-all";
  testing::expect_error(ErrorKind::kIo, {"nowhere/at-all"},
                        [&] { (void)open_dataset(config); });
}

}  // namespace
}  // namespace muonlab::train
