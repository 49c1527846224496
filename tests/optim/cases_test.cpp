// Every conformance case through `replay`, in float64 and float32: the float64
// twins of tests/reference wrote the expected weights and the tolerances.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "muonlab/formats/json.h"
#include "muonlab/optim/presets.h"
#include "muonlab/optim/replay.h"
#include "tests/reference/replay.h"

namespace muonlab::optim {
namespace {

using formats::Json;

const std::filesystem::path kFolder = MUONLAB_CASES;

std::vector<std::string> case_files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".json") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Json request_of(const Json& item, const char* dtype) {
  Json request = {{"rule", item["rule"]}, {"options", item["options"]},
                  {"dtype", dtype},       {"shape", item["shape"]},
                  {"w0", item["w0"]},     {"gradients", item["gradients"]}};
  if (item.contains("q0")) request["options"]["q0"] = item["q0"];
  return request;
}

// The first entry that is too far off, or "".
std::string worst(const Json& actual, const Json& expected, double tolerance) {
  if (actual.size() != expected.size()) return "another number of entries";
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double a = formats::number_from_json(actual[i], "w");
    const double e = formats::number_from_json(expected[i], "w");
    if (!(std::abs(a - e) <= tolerance)) {
      return "entry " + std::to_string(i) + ": got " + actual[i].dump() +
             ", expected " + expected[i].dump() + ", tolerance " +
             std::to_string(tolerance / std::abs(a - e)) + " of the error";
    }
  }
  return "";
}

class Cases : public ::testing::TestWithParam<std::string> {};

TEST_P(Cases, AreReproduced) {
  const Json file = formats::read_json(kFolder / (GetParam() + ".json"));
  std::map<std::string, int> checked;
  for (const Json& item : file["cases"]) {
    for (const char* dtype : {"float64", "float32"}) {
      const Json tolerance = item["tolerance"].value(dtype, Json());
      if (tolerance.is_null()) continue;  // float32 says nothing there
      SCOPED_TRACE(item["name"].get<std::string>() + " in " + dtype);
      const Json result = replay(request_of(item, dtype));
      ASSERT_EQ(item["steps_checked"].size(), item["w"].size());
      for (std::size_t i = 0; i < item["w"].size(); ++i) {
        const auto step = item["steps_checked"][i].get<std::size_t>();
        ASSERT_LE(step, result["w"].size());
        EXPECT_EQ(
            worst(result["w"][step - 1], item["w"][i], tolerance.get<double>()),
            "")
            << "step " << step;
        ++checked[dtype];
      }
    }
  }
  EXPECT_GT(checked["float64"], 0);
}

INSTANTIATE_TEST_SUITE_P(All, Cases, ::testing::ValuesIn(case_files()),
                         [](const auto& item) {
                           std::string name = item.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A rule without a twin, a case, a page or a place in the benchmark is not
// finished.
TEST(Registry, EveryRuleIsComplete) {
  const std::filesystem::path root = MUONLAB_ROOT;
  std::set<std::string> with_cases;
  for (const std::string& file : case_files()) {
    const Json cases = formats::read_json(kFolder / (file + ".json"));
    for (const Json& item : cases["cases"]) {
      with_cases.insert(item["rule"].get<std::string>());
    }
  }
  const auto twins = reference::twin_names();
  const std::set<std::string> with_twin(twins.begin(), twins.end());
  for (const std::string& name : preset_names()) {
    // Its values are random: the control's properties are tested instead.
    if (name != "random-spectrum") {
      EXPECT_EQ(with_twin.count(name), 1U) << name << " has no float64 twin";
      EXPECT_EQ(with_cases.count(name), 1U) << name << " has no case";
    }
    EXPECT_TRUE(
        std::filesystem::exists(root / "docs/optimizers" / (name + ".md")))
        << name << " has no page in docs/optimizers";
  }
  for (const std::string& name : twins) {
    EXPECT_NO_THROW((void)find_preset(name)) << name;
  }
}

}  // namespace
}  // namespace muonlab::optim
