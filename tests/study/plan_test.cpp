#include "muonlab/study/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::study {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::filesystem::path kQuick =
    std::filesystem::path(MUONLAB_SOURCE) / "configs" / "quick.toml";

// Line numbers matter: the refusals must name them.
constexpr const char* kHead =
    "[study]\n"                  // 1
    "name = \"tiny\"\n"          // 2
    "title = \"A tiny plan\"\n"  // 3
    "baseline = \"adamw\"\n"     // 4
    "search_seed = 0\n"          // 5
    "final_seeds = [1, 2]\n";    // 6
constexpr const char* kArm =
    "[[study.arms]]\n"
    "name = \"adamw\"\n"
    "rule = \"adamw\"\n"
    "hidden = [1e-3, 2e-3]\n"
    "auxiliary = [8e-3]\n";
constexpr const char* kTail =
    "[data]\n"
    "path = \"data/tiny\"\n"
    "[train]\n"
    "steps = 8\n";

class PlanTest : public ::testing::Test {
 protected:
  StudyPlan read(const std::string& text,
                 const std::vector<std::string>& overrides = {}) const {
    const auto path = folder_ / "plan.toml";
    testing::write(path, text);
    return read_plan(path, overrides);
  }

  void expect_refused(const std::string& text,
                      const std::vector<std::string>& words,
                      const std::vector<std::string>& overrides = {}) const {
    testing::expect_error(ErrorKind::kInvalidArgument, words,
                          [&] { (void)read(text, overrides); });
  }

  testing::TemporaryFolder folder_;
};

TEST_F(PlanTest, QuickIsTheStudyThatWasAskedFor) {
  const StudyPlan plan = read_plan(kQuick);
  EXPECT_EQ(plan.name, "quick");
  EXPECT_EQ(plan.baseline, "adamw");
  EXPECT_EQ(plan.search_seed, 0);
  EXPECT_THAT(plan.final_seeds, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(plan.search.extensions, 1);
  ASSERT_EQ(plan.arms.size(), 4U);

  const ArmPlan& joint = plan.arms[0];
  EXPECT_EQ(joint.name, "adamw-joint");
  EXPECT_EQ(joint.rule, "adamw");
  EXPECT_TRUE(joint.is_joint());
  EXPECT_THAT(joint.joint,
              ElementsAre(0.5e-3, 1e-3, 2e-3, 4e-3, 8e-3, 16e-3, 32e-3));
  EXPECT_THAT(joint.hidden, IsEmpty());

  const std::vector<std::vector<double>> hidden = {{1e-3, 2e-3, 4e-3, 8e-3},
                                                   {.005, .01, .02, .04},
                                                   {2e-3, 4e-3, 8e-3, 16e-3}};
  const std::vector<std::string> names = {"adamw", "muon", "muonw"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const ArmPlan& arm = plan.arms[i + 1];
    EXPECT_EQ(arm.name, names[i]);
    EXPECT_EQ(arm.rule, names[i]);
    EXPECT_EQ(arm.hidden, hidden[i]);
    // The first is held while the hidden rate is searched.
    EXPECT_THAT(arm.auxiliary, ElementsAre(8e-3, 4e-3, 16e-3, 32e-3));
    EXPECT_FALSE(arm.is_joint());
  }
  for (const ArmPlan& arm : plan.arms) {
    EXPECT_EQ(planned_trials(plan, arm), 8U)
        << arm.name << " has another budget";
  }
}

TEST_F(PlanTest, QuickSharesModelScheduleAndData) {
  const train::RunConfig c = read_plan(kQuick).base;
  EXPECT_EQ(c.steps, 240);
  EXPECT_EQ(c.batch, 16);
  EXPECT_EQ(c.accumulation, 1);
  EXPECT_EQ(c.clip, 1);
  EXPECT_EQ(c.schedule_shape, "trapezoid");
  EXPECT_EQ(c.schedule_warmup, 0.1);
  EXPECT_EQ(c.schedule_decay, 0.5);
  EXPECT_EQ(c.schedule_floor, 0);
  EXPECT_EQ(c.eval_windows, 1024);
  EXPECT_EQ(c.model.context, 128);
  EXPECT_EQ(c.model.width, 128);
  EXPECT_EQ(c.model.layers, 4);
  EXPECT_EQ(c.model.heads, 4);
  EXPECT_EQ(c.model.hidden, 352);
  EXPECT_EQ(c.model.activation, "swiglu");
  EXPECT_EQ(c.model.positions, "rotary");
  EXPECT_FALSE(c.model.tied_head);
  EXPECT_FALSE(c.model.scale_attention_by_layer);
  EXPECT_EQ(c.model.init_gain, 0.5);
  EXPECT_EQ(c.model.init_output_gain, 0);
  EXPECT_EQ(c.model.init_embedding_std, 0.02);
  EXPECT_EQ(c.model.init_head_std, 0.02);
  EXPECT_EQ(c.optim.weight_decay, 0.1);
  EXPECT_EQ(c.optim.auxiliary_weight_decay, 0);
  EXPECT_EQ(c.optim.auxiliary_rule, "adamw");
}

TEST_F(PlanTest, QuickArmsDifferInTheRuleOfTheHiddenMatricesOnly) {
  const StudyPlan plan = read_plan(kQuick);
  for (const ArmPlan& arm : plan.arms) {
    auto config = cell_config(plan, arm, "search", 0, {4e-3, 8e-3});
    train::resolve(config);
    EXPECT_EQ(config.optim.weight_decay, 0.1) << arm.name;
    if (arm.rule == "adamw") {
      EXPECT_EQ(config.optim.options.number("beta1"), 0.9);
      EXPECT_EQ(config.optim.options.number("beta2"), 0.95);
      EXPECT_EQ(config.optim.options.number("eps"), 1e-8);
      EXPECT_FALSE(config.optim.options.number("momentum").has_value());
    } else {
      EXPECT_EQ(config.optim.options.number("momentum"), 0.95) << arm.name;
      EXPECT_EQ(config.optim.options.word("momentum_form"), "ema") << arm.name;
      EXPECT_EQ(config.optim.options.flag("nesterov"), true) << arm.name;
      EXPECT_EQ(config.optim.options.word("polar_method"), "newton-schulz");
      EXPECT_EQ(config.optim.options.word("polar_coefficients"), "keller");
      EXPECT_EQ(config.optim.options.integer("polar_steps"), 5);
      EXPECT_EQ(config.optim.options.word("scale"),
                arm.rule == "muon" ? "s2" : "s4");
    }
    // All else is the same for every arm.
    config.optim = train::OptimConfig{};
    auto other = cell_config(plan, plan.arms[0], "search", 0, {4e-3, 8e-3});
    other.optim = train::OptimConfig{};
    EXPECT_EQ(train::fields_of(config).to_json(),
              train::fields_of(other).to_json());
  }
}

TEST_F(PlanTest, CellsChooseOnOneHalfAndReportOnTheOther) {
  StudyPlan plan = read(std::string(kHead) + "timing_steps = 5\n" +
                        "final_eval_every = 4\n" + kArm + kTail);
  const auto config = [&](const char* phase, std::int64_t seed) {
    return cell_config(plan, plan.arms[0], phase, seed, {2e-3, 8e-3});
  };
  const auto search = config("search", 0);
  EXPECT_EQ(search.eval_split, "selection");
  EXPECT_EQ(search.eval_every, 0);
  EXPECT_EQ(search.seed, 0);
  EXPECT_EQ(search.steps, 8);
  EXPECT_EQ(search.optim.lr, 2e-3);
  EXPECT_EQ(search.optim.auxiliary_lr, 8e-3);
  EXPECT_EQ(search.optim.rule, "adamw");
  const auto last = config("final", 2);
  EXPECT_EQ(last.eval_split, "reporting");
  EXPECT_EQ(last.eval_every, 4);
  EXPECT_EQ(last.seed, 2);
  EXPECT_EQ(last.eval_windows, search.eval_windows);
  const auto timing = config("timing", 0);
  EXPECT_EQ(timing.steps, 5);
  EXPECT_EQ(timing.eval_windows, 1);
  EXPECT_EQ(timing.eval_split, "selection");
  for (const auto& one : {search, last, timing}) EXPECT_EQ(one.threads, 1);
}

TEST_F(PlanTest, OverridesReachThePlanAndTheRuns) {
  const auto plan = read(std::string(kHead) + kArm + kTail,
                         {"study.jobs=1", "study.final_seeds=[7]",
                          "train.steps=3", "study.title=Another title"});
  EXPECT_EQ(plan.jobs, 1);
  EXPECT_THAT(plan.final_seeds, ElementsAre(7));
  EXPECT_EQ(plan.base.steps, 3);
  EXPECT_EQ(plan.title, "Another title");
}

TEST_F(PlanTest, GridsAreSortedButTheFirstAuxiliaryRateStaysFirst) {
  const auto plan = read(std::string(kHead) +
                         "[[study.arms]]\nname = \"adamw\"\nrule = \"adamw\"\n"
                         "hidden = [4, 1, 2]\nauxiliary = [8, 2, 4]\n" +
                         kTail);
  EXPECT_THAT(plan.arms[0].hidden, ElementsAre(1, 2, 4));
  EXPECT_THAT(plan.arms[0].auxiliary, ElementsAre(8, 2, 4));
}

TEST_F(PlanTest, RefusesUnknownKeysByFileLineAndNearestName) {
  const std::string arm_and_tail = std::string(kArm) + kTail;
  expect_refused(std::string(kHead) + "final_seedz = [1]\n" + arm_and_tail,
                 {"plan.toml:7", "final_seedz", "study.final_seeds"});
  expect_refused(kHead + std::string(kArm) + "hiden = [1]\n" + kTail,
                 {"plan.toml:7", "hiden", "'hidden'"});
  expect_refused(kHead + arm_and_tail + "stepz = 3\n",
                 {"plan.toml:16", "train.stepz", "train.steps"});
  expect_refused(kHead + arm_and_tail, {"--set", "study.jobz", "study.jobs"},
                 {"study.jobz=1"});
  expect_refused(kHead + arm_and_tail, {"--set", "train.stpes", "train.steps"},
                 {"train.stpes=1"});
}

TEST_F(PlanTest, NamesTheLineOfTheArmThatIsWrong) {
  const std::string second =
      "[[study.arms]]\n"  // 12
      "name = \"muon\"\n"
      "rule = \"muon\"\n"
      "hidden = [1e-3]\n"
      "auxilary = [8e-3]\n";
  expect_refused(std::string(kHead) + kArm + second + kTail,
                 {"plan.toml:12", "auxilary", "'auxiliary'"});
}

TEST_F(PlanTest, RefusesRatesThatAreNone) {
  const auto with = [](const std::string& hidden) {
    return std::string(kHead) + "[[study.arms]]\nname = \"adamw\"\n" +
           "rule = \"adamw\"\nhidden = " + hidden + "\nauxiliary = [8e-3]\n" +
           kTail;
  };
  for (const char* rates : {"[1e-3, -2e-3]", "[0]", "[]", "1e-3", "[1, 1]",
                            "[\"1\"]", "[nan]", "[inf]"}) {
    SCOPED_TRACE(rates);
    expect_refused(with(rates), {"plan.toml:7", "'hidden'"});
  }
}

TEST_F(PlanTest, RefusesArmsThatContradictThemselves) {
  const auto with = [](const std::string& rest) {
    return std::string(kHead) + "[[study.arms]]\nname = \"adamw\"\n" + rest +
           kTail;
  };
  expect_refused(with("rule = \"adamw\"\njoint = [1]\nhidden = [1]\n"),
                 {"plan.toml:7", "adamw", "either 'joint'"});
  expect_refused(with("rule = \"adamw\"\nhidden = [1]\n"),
                 {"plan.toml:7", "'auxiliary'"});
  expect_refused(with("rule = \"adamw\"\n"), {"plan.toml:7", "'joint'"});
  expect_refused(with("rule = \"muno\"\njoint = [1]\n"), {"muno", "muon"});
  expect_refused(with("rule = \"adamw\"\njoint = [1]\nset = { optim.scale = "
                      "\"s2\" }\n"),
                 {"optim.scale", "adamw", "no such option"});
  expect_refused(with("rule = \"adamw\"\njoint = [1]\nset = { optim.sclae = "
                      "\"s2\" }\n"),
                 {"plan.toml", "arm 'adamw'", "optim.sclae", "optim.scale"});
  expect_refused(std::string(kHead) +
                     "[[study.arms]]\nname = \"a/b\"\njoint = [1]\n" + kTail,
                 {"plan.toml:7", "a/b"});
}

TEST_F(PlanTest, RefusesStudiesThatContradictThemselves) {
  const std::string all = std::string(kHead) + kArm + kTail;
  expect_refused(std::string(kHead) + kArm + kArm + kTail,
                 {"plan.toml", "'adamw'", "twice"});
  expect_refused(all, {"plan.toml", "study.baseline", "adamv", "adamw"},
                 {"study.baseline=adamv"});
  expect_refused(all, {"final_seeds", "0", "search seed"},
                 {"study.final_seeds=[1, 0]"});
  expect_refused(all, {"final_seeds", "2", "twice"},
                 {"study.final_seeds=[2, 2]"});
  expect_refused(all, {"study.jobs", "0", "from 1"}, {"study.jobs=0"});
  expect_refused(all, {"study.extensions", "-1"}, {"study.extensions=-1"});
  expect_refused(all, {"study.final_seeds", "-3"}, {"study.final_seeds=[-3]"});
  expect_refused(all, {"study.name", "a b"}, {"study.name=a b"});
  expect_refused(all, {"study.name", "3"}, {"study.name=3"});
  expect_refused(kTail, {"plan.toml", "[study]", "muonlab train"});
  testing::expect_error(ErrorKind::kIo, {"missing.toml"},
                        [&] { (void)read_plan(folder_ / "missing.toml"); });
}

TEST_F(PlanTest, RefusesSettingsOfTheRunsBeforeAnythingRuns) {
  const std::string all = std::string(kHead) + kArm + kTail;
  expect_refused(all, {"train.batch", "0"}, {"train.batch=0"});
  expect_refused(all, {"auxiliary", "weight_decay", "-1"},
                 {"optim.auxiliary.weight_decay=-1"});
}

}  // namespace
}  // namespace muonlab::study
