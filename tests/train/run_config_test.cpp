#include "muonlab/train/run_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::train {
namespace {

using formats::Json;
using ::testing::Contains;
using ::testing::HasSubstr;

// Gives a field a value that it did not have; `number` makes values differ.
void change(const Fields::Target& target, int number) {
  std::visit(
      [&](auto* pointer) {
        using Held = std::remove_pointer_t<decltype(pointer)>;
        if constexpr (std::is_same_v<Held, std::int64_t>) {
          *pointer += 1000 + number;
        } else if constexpr (std::is_same_v<Held, double>) {
          *pointer += 1e-5 + number / 7.0;
        } else if constexpr (std::is_same_v<Held, bool>) {
          *pointer = !*pointer;
        } else if constexpr (std::is_same_v<Held, std::string>) {
          *pointer += "x\t\"quoted\" \\ \xc3\xa9 # " + std::to_string(number);
        } else if constexpr (std::is_same_v<Held, std::optional<bool>>) {
          *pointer = !pointer->value_or(false);
        } else if constexpr (std::is_same_v<Held, std::optional<std::string>>) {
          *pointer = pointer->value_or("") + "y" + std::to_string(number);
        } else {
          using Value = typename Held::value_type;
          *pointer =
              pointer->value_or(Value(0)) + static_cast<Value>(1 + number);
        }
      },
      target);
}

RunConfig resolved(const std::string& rule) {
  RunConfig config;
  config.data_path = "data/any";
  config.optim.rule = rule;
  resolve(config);
  return config;
}

class RunConfigTest : public ::testing::Test {
 protected:
  RunConfig read(const std::string& text,
                 const std::vector<std::string>& overrides = {},
                 const std::string& skip = "") const {
    testing::write(folder_ / "run.toml", text);
    return read_run_config(folder_ / "run.toml", overrides, skip);
  }

  void expect_refused(const std::string& text,
                      const std::vector<std::string>& words,
                      const std::vector<std::string>& overrides = {}) const {
    testing::expect_error(ErrorKind::kInvalidArgument, words,
                          [&] { (void)read(text, overrides); });
  }

  testing::TemporaryFolder folder_;
};

TEST_F(RunConfigTest, EveryKeyComesBackFromToml) {
  RunConfig config;
  int number = 0;
  const Fields fields = fields_of(config);
  for (const Fields::Field& field : fields.all())
    change(field.target, ++number);
  RunConfig plain = read(fields.to_toml(/*comments=*/false));
  EXPECT_EQ(fields_of(plain).to_json(), fields.to_json());
  RunConfig commented = read(fields.to_toml(/*comments=*/true));
  EXPECT_EQ(fields_of(commented).to_json(), fields.to_json());
}

TEST_F(RunConfigTest, WhatIsNotSetStaysUnsetInToml) {
  RunConfig config;
  for (const bool comments : {false, true}) {
    RunConfig back = read(fields_of(config).to_toml(comments));
    EXPECT_EQ(fields_of(back).to_json(), fields_of(config).to_json());
    EXPECT_FALSE(back.optim.lr.has_value());
    EXPECT_FALSE(back.optim.options.flag("nesterov").has_value());
  }
}

TEST_F(RunConfigTest, NumbersKeepAllTheirDigits) {
  for (const double value :
       {0.1, 1.0, 1e22, 1e-300, 5e-324, 1.0 / 3, -0.0, 123456789.0}) {
    RunConfig config;
    config.optim.lr = value;
    const RunConfig back = read(fields_of(config).to_toml(false));
    EXPECT_EQ(back.optim.lr, value);
    EXPECT_EQ(std::signbit(*back.optim.lr), std::signbit(value));
  }
}

TEST_F(RunConfigTest, ADottedHeadingTakesTheAuxiliaryKeys) {
  const RunConfig c = read(
      "[optim]\nlr = 2e-3\nnesterov = false\n[optim.auxiliary]\nlr = 4e-3\n"
      "[train]\nclip = 2\n");
  EXPECT_EQ(c.optim.lr, 2e-3);
  EXPECT_EQ(c.optim.options.flag("nesterov"), false);
  EXPECT_EQ(c.optim.auxiliary_lr, 4e-3);
  EXPECT_EQ(c.clip, 2) << "a whole number is a number too";
}

TEST_F(RunConfigTest, AnUnknownKeyIsNamedWithItsLineAndTheNearestKey) {
  expect_refused(
      "[train]\nsteps = 3\n\nstpes = 4\n",
      {"run.toml:4", "train.stpes", "'train.steps'", "train --help"});
  expect_refused("[optim.auxilliary]\nlr = 1\n",
                 {"run.toml:2", "optim.auxilliary.lr", "'optim.auxiliary.lr'"});
  expect_refused("colour = 1\n",
                 {"run.toml:1", "colour", "known:", "train.steps"});
  expect_refused("[study]\nname = \"x\"\n", {"run.toml:2", "study.name"});
}

TEST_F(RunConfigTest, KeysOfAnotherReaderAreLeftAlone) {
  const std::string text = "[study]\nname = \"x\"\n[train]\nsteps = 3\n";
  EXPECT_EQ(read(text, {}, "study").steps, 3);
  testing::expect_error(ErrorKind::kInvalidArgument, {"studyx.name"}, [&] {
    (void)read("[studyx]\nname = 1\n", {}, "study");
  });
}

TEST_F(RunConfigTest, AWrongTypeIsNamedWithItsLine) {
  expect_refused("[train]\nsteps = 1.5\n",
                 {"run.toml:2", "train.steps", "1.5", "a whole number"});
  expect_refused("[train]\nsteps = true\n", {"run.toml:2", "a whole number"});
  expect_refused("[train]\nclip = \"1\"\n",
                 {"run.toml:2", "train.clip", "a number"});
  expect_refused("[optim]\nnesterov = 1\n", {"run.toml:2", "true or false"});
  expect_refused("[optim]\nrule = 3\n", {"run.toml:2", "a text in quotes"});
  expect_refused("[optim]\nlr = [1e-3]\n",
                 {"run.toml:2", "optim.lr", "a number"});
  expect_refused("", {"--set", "data.path", "a text in quotes"},
                 {"data.path=3"});
}

TEST_F(RunConfigTest, BadTomlIsNamedWithItsLine) {
  expect_refused("[train]\nsteps = \n", {"run.toml:2", "not valid TOML"});
  expect_refused("[train]\nsteps = 1\nsteps = 2\n",
                 {"run.toml:3", "not valid TOML"});
  expect_refused("[train]\nsteps = 99999999999999999999\n", {"run.toml:2"});
  testing::expect_error(ErrorKind::kIo, {"missing.toml"}, [&] {
    (void)read_run_config(folder_ / "missing.toml");
  });
}

TEST_F(RunConfigTest, OverridesWinAndAreReadAsToml) {
  const RunConfig c =
      read("[train]\nsteps = 3\n",
           {"train.steps=5", "optim.lr=1e-3", "model.tied_head=true",
            "optim.rule=muonw", "data.path=some where/else",
            "optim.scale=\"s4\"", "train.clip=0"});
  EXPECT_EQ(c.steps, 5);
  EXPECT_EQ(c.optim.lr, 1e-3);
  EXPECT_TRUE(c.model.tied_head);
  EXPECT_EQ(c.optim.rule, "muonw");
  EXPECT_EQ(c.data_path, "some where/else");
  EXPECT_EQ(c.optim.options.word("scale"), "s4");
  EXPECT_EQ(c.clip, 0);
}

TEST_F(RunConfigTest, BadOverridesAreRefused) {
  expect_refused("", {"--set", "'train.steps'", "KEY=VALUE"}, {"train.steps"});
  expect_refused("", {"--set", "'=3'", "KEY=VALUE"}, {"=3"});
  expect_refused("", {"--set", "train.step", "'train.steps'"},
                 {"train.step=3"});
  expect_refused("", {"--set", "train.steps", "a whole number"},
                 {"train.steps="});
  expect_refused("", {"--set", "\"3x\"", "a whole number"}, {"train.steps=3x"});
  expect_refused("", {"--set", "true or false"}, {"model.tied_head=yes"});
}

TEST(Resolve, FillsInTheRulesDefaults) {
  const RunConfig muon = resolved("muon");
  EXPECT_EQ(muon.optim.lr, 0.02);
  EXPECT_EQ(muon.optim.weight_decay, 0);
  EXPECT_EQ(muon.optim.options.number("momentum"), 0.95);
  EXPECT_EQ(muon.optim.options.word("momentum_form"), "ema");
  EXPECT_EQ(muon.optim.options.flag("nesterov"), true);
  EXPECT_EQ(muon.optim.options.word("scale"), "s2");
  EXPECT_EQ(muon.optim.options.word("polar_method"), "newton-schulz");
  EXPECT_EQ(muon.optim.options.integer("polar_steps"), 5);
  EXPECT_FALSE(muon.optim.options.number("beta1").has_value());
  const RunConfig muonw = resolved("muonw");
  EXPECT_EQ(muonw.optim.lr, 1e-3);
  EXPECT_EQ(muonw.optim.weight_decay, 0.1);
  EXPECT_EQ(muonw.optim.options.word("momentum_form"), "heavy-ball");
  EXPECT_EQ(muonw.optim.options.word("scale"), "s4");
  const RunConfig adamw = resolved("adamw");
  EXPECT_EQ(adamw.optim.options.number("beta1"), 0.9);
  EXPECT_EQ(adamw.optim.options.number("beta2"), 0.95);
  EXPECT_EQ(adamw.optim.options.number("eps"), 1e-8);
  EXPECT_FALSE(adamw.optim.options.number("momentum").has_value());
}

TEST(Resolve, KeepsWhatIsSetAndChangesNothingTheSecondTime) {
  RunConfig config = resolved("muon");
  config.optim.options.fill({{"momentum", 0.5}});
  config.optim.lr = 0;
  resolve(config);
  EXPECT_EQ(config.optim.options.number("momentum"), 0.5);
  EXPECT_EQ(config.optim.lr, 0) << "a rate of 0 is a value, not a gap";
  const Json once = fields_of(config).to_json();
  resolve(config);
  EXPECT_EQ(fields_of(config).to_json(), once);
}

TEST(Resolve, RefusesAnOptionThatTheRuleDoesNotHave) {
  const auto refused = [](const std::string& rule, const std::string& setting,
                          const std::string& key) {
    RunConfig config;
    config.data_path = "data/any";
    config.optim.rule = rule;
    fields_of(config).set_override(setting);
    testing::expect_error(ErrorKind::kInvalidArgument,
                          {key, "'" + rule + "'", "no such option"},
                          [&] { resolve(config); });
  };
  for (const char* rule : {"muon", "muonw"}) {
    refused(rule, "optim.beta1=0.9", "optim.beta1");
    refused(rule, "optim.beta2=0.9", "optim.beta2");
    refused(rule, "optim.eps=1e-8", "optim.eps");
  }
  refused("adamw", "optim.momentum=0.9", "optim.momentum");
  refused("adamw", "optim.momentum_form=ema", "optim.momentum_form");
  refused("adamw", "optim.nesterov=false", "optim.nesterov");
  refused("adamw", "optim.scale=s2", "optim.scale");
  refused("adamw", "optim.polar_method=svd", "optim.polar_method");
  refused("adamw", "optim.polar_coefficients=keller",
          "optim.polar_coefficients");
  refused("adamw", "optim.polar_steps=5", "optim.polar_steps");
}

TEST(Resolve, RefusesValuesOutOfRangeByKeyAndValue) {
  const std::vector<std::vector<std::string>> cases = {
      {"data.path=\"\"", "data.path"},
      {"optim.lr=-0.001", "lr", "-0.001"},
      {"optim.weight_decay=-1", "weight_decay", "-1"},
      {"optim.auxiliary.lr=-2", "optim.auxiliary", "lr", "-2"},
      {"optim.auxiliary.beta1=1", "beta1", "1"},
      {"optim.auxiliary.eps=0", "eps", "0"},
      {"optim.momentum=1", "momentum", "1"},
      {"optim.momentum_form=emma", "optim.momentum_form", "emma", "ema"},
      {"optim.scale=s12", "s12"},
      {"optim.polar_method=qr", "optim.polar_method", "qr"},
      {"optim.polar_coefficients=kelle", "kelle", "keller"},
      {"optim.polar_steps=0", "optim.polar_steps", "0"},
      {"optim.rule=muno", "muno", "muon"},
      {"schedule.shape=cosin", "cosin", "cosine"},
      {"schedule.warmup=1.5", "schedule.warmup", "1.5"},
      {"schedule.decay=-0.5", "schedule.decay", "-0.5"},
      {"schedule.floor=2", "floor", "2"},
      {"schedule.momentum_start=0.5", "momentum_warmup", "both"},
      {"schedule.length=0.99", "schedule.length", "0.99", "1 to 1000"},
      {"schedule.length=1001", "schedule.length", "1001"},
      {"data.split=window", "data.split", "'window'", "documents or windows"},
      {"model.dropout=0.1", "train.layers: got fused with model.dropout",
       "expected plain"},
      {"model.positions=rotary_by_head",
       "train.layers: got fused with rotary_by_head", "expected plain"},
      {"train.stop_ratio=0.5", "train.stop_ratio", "0.5", "more than 1"},
      {"train.stop_ratio=1", "train.stop_ratio", "got 1"},
      {"train.stop_ratio=-2", "train.stop_ratio", "-2"},
      {"train.stop_after=-1", "train.stop_after", "-1"},
      {"train.stop_patience=0", "train.stop_patience", "0"},
      {"train.steps=0", "train.steps", "0"},
      {"train.batch=0", "train.batch", "0"},
      {"train.accumulation=3", "train.accumulation", "3", "16"},
      {"train.clip=-1", "train.clip", "-1"},
      {"train.seed=-1", "train.seed", "-1"},
      {"train.threads=-2", "train.threads", "-2"},
      {"train.log_every=0", "train.log_every", "0"},
      {"eval.split=train", "eval.split", "train"},
      {"eval.windows=-1", "eval.windows", "-1"},
      {"eval.every=-1", "eval.every", "-1"}};
  for (const auto& words : cases) {
    SCOPED_TRACE(words[0]);
    RunConfig config;
    config.data_path = "data/any";
    fields_of(config).set_override(words[0]);
    testing::expect_error(ErrorKind::kInvalidArgument,
                          {words.begin() + 1, words.end()},
                          [&] { resolve(config); });
  }
}

TEST(Schedule, CountsSharesInSteps) {
  const optim::Schedule s = schedule_of(resolved("muon"));
  EXPECT_EQ(s.total, 240);
  EXPECT_EQ(s.warmup, 24);
  EXPECT_EQ(s.decay, 120);
  EXPECT_EQ(s.factor(0), 1.0 / 24);
  EXPECT_EQ(s.factor(23), 1);
  EXPECT_EQ(s.factor(120), 1);
  EXPECT_NEAR(s.factor(239), 1.0 / 120, 1e-15);

  RunConfig config = resolved("muon");
  config.schedule_shape = "cosine";
  config.schedule_floor = 0.25;
  config.steps = 15;
  const optim::Schedule cosine = schedule_of(config);
  EXPECT_EQ(cosine.warmup, 2) << "1.5 steps are rounded";
  EXPECT_EQ(cosine.decay, 0) << "the cosine has no other descent";
  EXPECT_EQ(cosine.floor, 0.25);
}

TEST(Schedule, MayBeLongerThanTheRun) {
  RunConfig config = resolved("muon");
  config.schedule_shape = "cosine";
  config.schedule_warmup = 0.05;
  config.schedule_floor = 0.1;
  config.steps = 200;
  const optim::Schedule whole = schedule_of(config);
  EXPECT_EQ(whole.total, 200);
  EXPECT_EQ(whole.warmup, 10);
  EXPECT_FALSE(whole.warmup_from_zero);
  config.schedule_length = 4;
  config.schedule_from_zero = true;
  const optim::Schedule longer = schedule_of(config);
  EXPECT_EQ(longer.total, 800);
  EXPECT_EQ(longer.warmup, 40) << "a share of the schedule, not of the run";
  EXPECT_EQ(longer.factor(0), 0);
  EXPECT_EQ(longer.factor(20), 0.5);
  // The run's last step is at (199 - 40) / 760 of the descent.
  EXPECT_NEAR(longer.factor(199), 0.1 + 0.45 * (1 + std::cos(M_PI * 159 / 760)),
              1e-15);
  EXPECT_LT(whole.factor(199), 0.101);
  config.schedule_length = 1.25;
  EXPECT_EQ(schedule_of(config).total, 250);
  config.schedule_shape = "trapezoid";
  config.schedule_decay = 0.2;
  EXPECT_EQ(schedule_of(config).decay, 50);
  EXPECT_EQ(schedule_of(config).factor(199), 1) << "decay begins at 200";
}

TEST(Resolve, PlainLayersTakeDropoutAndRotaryByHead) {
  RunConfig config;
  config.data_path = "data/any";
  config.layers = "plain";
  config.model.vocabulary = 7;
  config.model.dropout = 0.1;
  config.model.positions = "rotary_by_head";
  EXPECT_NO_THROW(resolve(config));
}

TEST(RunIdentity, FollowsEveryKeyThatDecidesNumbers) {
  for (const char* rule : {"muon", "adamw"}) {
    const RunConfig base = resolved(rule);
    const std::string identity = run_identity(base, "hash");
    EXPECT_EQ(identity.size(), 64U);
    EXPECT_EQ(run_identity(base, "hash"), identity);
    EXPECT_NE(run_identity(base, "other"), identity) << "the dataset";
    std::set<std::string> seen = {identity};
    RunConfig config = base;
    const auto keys = fields_of(config).keys();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      config = base;
      const Fields fields = fields_of(config);
      change(fields.all()[i].target, static_cast<int>(i));
      const std::string other = run_identity(config, "hash");
      if (keys[i] == "data.path" || keys[i] == "train.log_every" ||
          keys[i].rfind("diagnostics.", 0) == 0) {
        EXPECT_EQ(other, identity) << keys[i];
      } else {
        EXPECT_TRUE(seen.insert(other).second) << keys[i];
      }
    }
  }
}

TEST(Fields, HelpExplainsEveryKey) {
  RunConfig config;
  const Fields fields = fields_of(config);
  const std::string help = fields.to_toml(/*comments=*/true);
  for (const Fields::Field& field : fields.all()) {
    EXPECT_THAT(help, HasSubstr("# " + field.about + "\n"));
    EXPECT_FALSE(field.about.empty()) << field.key;
  }
  EXPECT_THAT(fields.keys(), Contains("optim.auxiliary.lr"));
}

TEST(TomlFile, KnowsTheLineOfEveryEntryAndItem) {
  const testing::TemporaryFolder folder;
  testing::write(folder / "a.toml",
                 "x = 1\n\n[[list]]\nname = \"a\"\n\n[[list]]\nname = \"b\"\n"
                 "[deep.er]\ny = [1,\n2]\n");
  const TomlFile file = read_toml(folder / "a.toml");
  ASSERT_EQ(file.entries.size(), 3U);
  for (const TomlFile::Entry& entry : file.entries) {
    if (entry.key == "x") {
      EXPECT_EQ(entry.line, 1);
    } else if (entry.key == "list") {
      EXPECT_EQ(entry.item_lines, (std::vector<std::int64_t>{3, 6}));
    } else {
      EXPECT_EQ(entry.key, "deep.er.y");
      EXPECT_EQ(entry.line, 9);
      EXPECT_EQ(entry.item_lines, (std::vector<std::int64_t>{9, 10}));
    }
  }
}

TEST(TomlValue, IsNothingWhenTheTextIsNoValue) {
  EXPECT_EQ(parse_toml_value("1e-3"), Json(1e-3));
  EXPECT_EQ(parse_toml_value("[1, 2]"), Json::array({1, 2}));
  EXPECT_EQ(parse_toml_value("\"x\""), Json("x"));
  EXPECT_EQ(parse_toml_value("true"), Json(true));
  for (const char* text : {"", "muon", "1 2", "1\nx = 2", "a/b"}) {
    EXPECT_FALSE(parse_toml_value(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace muonlab::train
