// The door itself; the numbers are those of cases_test.cpp.
#include "muonlab/optim/replay.h"

#include <gtest/gtest.h>

#include <cmath>

#include "muonlab/core/error.h"
#include "tests/support/expect_error.h"

namespace muonlab::optim {
namespace {

using formats::Json;

Json request() {
  return {
      {"rule", "muonw"},
      {"options", {{"lr", 0.02}, {"weight_decay", 0.1}, {"momentum", 0.95}}},
      {"dtype", "float64"},
      {"shape", {3, 2}},
      {"w0", {.5, -.25, .125, -.75, 1, .3}},
      {"gradients", {{.1, -.2, .3, .4, -.5, .6}}}};
}

TEST(Replay, GivesEveryStepAllOptionsAndTheUpdatesRms) {
  Json two = request();
  two["gradients"].push_back({.1, -.2, .3, .4, -.5, .6});
  two["options"]["polar"] = {{"method", "svd"}};
  const Json result = replay(two);
  EXPECT_EQ(result["schema"], 1);
  EXPECT_EQ(result["rule"], "muonw");
  ASSERT_EQ(result["w"].size(), 2U);
  EXPECT_EQ(result["w"][0].size(), 6U);
  ASSERT_EQ(result["update_rms"].size(), 2U);
  EXPECT_EQ(result["options"]["polar_method"], "svd");
  EXPECT_EQ(result["options"]["momentum_form"], "heavy-ball");
  EXPECT_EQ(result["options"]["lr"], 0.02);
  // Without decay the exact update has an RMS of .2 (scale s4).
  two["options"]["weight_decay"] = 0;
  EXPECT_NEAR(replay(two)["update_rms"][0].get<double>(), 0.2, 1e-12);
}

TEST(Replay, TakesListsVectorsKernelsAndBlocks) {
  Json vector = request();
  vector["rule"] = "lion";
  vector["options"] = {{"betas", {0.5, 0.75}}};
  vector["shape"] = {6};
  Json kernel = request();
  kernel["shape"] = {3, 1, 2};
  Json blocks = request();
  blocks["blocks"] = {{{"name", "a"}, {"rows", 1}},
                      {{"name", "b"}, {"rows", 2}}};
  const Json results = replay(Json::array({vector, kernel, blocks}));
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0]["options"]["beta2"], 0.75);
  EXPECT_EQ(results[1]["w"], replay(request())["w"]);
  EXPECT_NE(results[2]["w"], replay(request())["w"]);
}

TEST(Replay, RefusesWhatItDoesNotUnderstand) {
  const auto refused = [](const std::vector<std::string>& words, auto edit) {
    Json bad = request();
    edit(bad);
    testing::expect_error(ErrorKind::kInvalidArgument, words,
                          [&] { (void)replay(bad); });
  };
  refused({"'rull'", "'rule'"}, [](Json& r) { r["rull"] = 1; });
  refused({"'w0'", "missing"}, [](Json& r) { r.erase("w0"); });
  refused({"muno", "'muon'"}, [](Json& r) { r["rule"] = "muno"; });
  refused({"rank", "no such option"},
          [](Json& r) { r["options"]["rank"] = 2; });
  refused({"lr", "-1"}, [](Json& r) { r["options"]["lr"] = -1; });
  refused({"dtype", "float65", "float64"},
          [](Json& r) { r["dtype"] = "float65"; });
  refused({"w0", "5 values", "expected 6"}, [](Json& r) { r["w0"].erase(0); });
  refused({"gradients[0]", "7 values"},
          [](Json& r) { r["gradients"][0].push_back(1); });
  refused({"shape"}, [](Json& r) { r["shape"] = {3, 0}; });
  refused({"1 dimension"}, [](Json& r) {
    r["shape"] = {6};
    r["role"] = "matrix";
  });
  refused({"no state 'basis'"}, [](Json& r) { r["options"]["q0"] = {1, 2}; });
}

TEST(Replay, RefusesANonFiniteGradient) {
  Json bad = request();
  bad["gradients"][0][2] = "nan";
  testing::expect_error(ErrorKind::kDiverged, {"'w'", "not finite"},
                        [&] { (void)replay(bad); });
}

}  // namespace
}  // namespace muonlab::optim
