#include "muonlab/optim/options.h"

#include <gtest/gtest.h>

#include "muonlab/optim/presets.h"
#include "muonlab/optim/rule_table.h"
#include "tests/support/expect_error.h"

namespace muonlab::optim {
namespace {

using testing::expect_error;

constexpr auto kKind = ErrorKind::kInvalidArgument;

TEST(Options, EveryOptionOfEveryPresetCanBeReadAndSetToItsOwnValue) {
  for (const Preset& p : presets()) {
    UpdateRule rule = p.options.update();
    const OptionMap values = option_values(rule);
    EXPECT_FALSE(values.empty()) << p.name;
    set_options(rule, values, "x: ");
    EXPECT_EQ(rule, p.options.update()) << p.name;
    for (const auto& [name, value] : values) {
      UpdateRule again = p.options.update();
      // Infinity is a word in JSON, and comes back as the number.
      if (name != "p") {
        EXPECT_EQ(option_from_json(option_json(value), name), value)
            << p.name << " " << name;
      }
      set_options(again, {{name, option_from_json(option_json(value), name)}},
                  "x: ");
      EXPECT_EQ(again, p.options.update()) << p.name << " " << name;
    }
  }
}

TEST(Options, RefusesWhatARuleDoesNotHave) {
  UpdateRule rule = muon().update();
  const UpdateRule before = rule;
  expect_error(kKind, {"g: momentun", "'muon'", "no such option", "'momentum'"},
               [&] { set_options(rule, {{"momentun", 0.5}}, "g: "); });
  expect_error(kKind, {"beta1", "'muon'"},
               [&] { set_options(rule, {{"beta1", 0.5}}, ""); });
  EXPECT_EQ(rule, before);
}

TEST(Options, RefusesWhatHasNoEffect) {
  UpdateRule rule = muon().update();
  for (const char* name :
       {"pre_beta2", "pre_eps", "post_beta2", "post_eps", "rho", "p", "k",
        "seed", "scale_eps", "namo_beta2"}) {
    const OptionValue value = name[0] == 'k' || name[0] == 's'
                                  ? OptionValue(std::int64_t{1})
                                  : OptionValue(0.5);
    if (std::string(name) == "scale_eps") {
      expect_error(kKind, {name, "no effect"},
                   [&] { set_options(rule, {{name, 0.5}}, ""); });
      continue;
    }
    expect_error(kKind, {name, "no effect"},
                 [&] { set_options(rule, {{name, value}}, ""); });
  }
  // With the option that gives it one, in the same call and in any order.
  set_options(
      rule, {{"post_beta2", 0.5}, {"post", std::string("second-moment")}}, "");
  EXPECT_EQ(std::get<MatrixRule>(rule).post_beta2, 0.5);
  expect_error(kKind, {"polar_steps", "no effect"}, [&] {
    set_options(rule,
                {{"polar_method", std::string("svd")},
                 {"polar_steps", std::int64_t{4}}},
                "");
  });
}

TEST(Options, RefusesValuesOutOfRangeAndOfTheWrongKind) {
  const auto refused = [](const char* rule_name, const char* name,
                          const OptionValue& value,
                          const std::vector<std::string>& words) {
    UpdateRule rule = preset(rule_name).update();
    expect_error(kKind, words,
                 [&] { set_options(rule, {{name, value}}, "o: "); });
    EXPECT_EQ(rule, preset(rule_name).update());
  };
  refused("muon", "momentum", 1.0, {"o: momentum", "got 1", "[0, 1)"});
  refused("muon", "momentum", NAN, {"momentum", "nan"});
  refused("muon", "momentum", std::string("x"), {"momentum", "a number"});
  refused("muon", "nesterov", 1.0, {"nesterov", "true or false"});
  refused("muon", "polar_steps", std::int64_t{0}, {"polar_steps", "1 to 100"});
  refused("muon", "polar_steps", std::int64_t{1} << 40, {"polar_steps"});
  refused("muon", "polar_steps", 2.5, {"polar_steps", "whole number"});
  refused("muon", "scale", std::string("s12"), {"scale", "s12"});
  refused("muon", "polar_coefficients", std::string("kelle"),
          {"polar_coefficients", "'keller'"});
  refused("muon", "decay", std::string("cautios"), {"decay", "'cautious'"});
  refused("schatten", "p", 0.5, {"p: got 0.5", "[1, inf]"});
  refused("dion", "rank_fraction", 0.0, {"rank_fraction", "(0, 1]"});
  refused("soap", "refresh", std::int64_t{0}, {"refresh", "1 or more"});
  refused("adamw", "decay", std::string("scaled"), {"matrix rules"});
  refused("namo", "nesterov", true, {"namo", "nesterov"});
  refused("muonh", "decay", std::string("l2"), {"decay", "s9"});
}

TEST(Options, OfThePolarFactorApplyByMethodAndNorm) {
  using std::string;
  const auto check = [](const OptionMap& values) {
    UpdateRule rule = preset("muon").update();
    set_options(rule, values, "o: ");
    return option_values(rule);
  };
  const OptionMap gram = check({{"polar_method", string("gram")},
                                {"polar_restarts", string("1,3")},
                                {"polar_dtype", string("mixed")}});
  EXPECT_EQ(gram.at("polar_restarts"), OptionValue(string("1,3")));
  EXPECT_EQ(gram.count("polar_power_steps"), 0U);
  EXPECT_EQ(check({}).count("polar_restarts"), 0U);
  EXPECT_EQ(check({{"polar_norm", string("power")}}).count("polar_power_steps"),
            1U);
  const auto refused = [&](const OptionMap& values,
                           const std::vector<string>& words) {
    expect_error(kKind, words, [&] { check(values); });
  };
  refused({{"polar_restarts", string("2")}}, {"polar_restarts", "no effect"});
  refused({{"polar_power_steps", std::int64_t{4}}},
          {"polar_power_steps", "no effect"});
  refused({{"polar_method", string("gram")}, {"polar_restarts", string("5")}},
          {"o: polar_restarts", "got step 5 of 5"});
  refused({{"polar_coefficients", string("aol-dion")}},
          {"polar norm", "aol-dion"});
  refused({{"polar_coefficients", string("1.9,1.3,0.4")}},
          {"o: polar_coefficients", "step 1", "(0, 2]"});
  refused({{"polar_dtype", string("mixed")}}, {"mixed", "gram"});
  // Tables as text, and by the number of steps that they are for.
  EXPECT_NO_THROW(check({{"polar_coefficients", string("2,-1.5,0.5")}}));
  EXPECT_NO_THROW(
      check({{"polar_coefficients", string("polar-express:lower=1e-4,steps=6")},
             {"polar_steps", std::int64_t{6}}}));
  for (const char* name : {"dion2", "muown"}) {
    UpdateRule rule = preset(name).update();
    expect_error(kKind, {"aol"}, [&] {
      set_options(rule, {{"polar_coefficients", string("aol-turbo")}}, "");
    });
  }
}

TEST(Options, ExplicitlySetToTheDefaultIsNotTheSameAsNotSet) {
  GroupOptions defaults = muon().lr(0.5);
  const GroupOverrides explicit_one{.lr = 0.02,
                                    .options = {{"momentum", 0.95}}};
  EXPECT_EQ(merged(defaults, explicit_one, "g").lr(), 0.02);
  EXPECT_EQ(merged(defaults, {}, "g").lr(), 0.5);
  defaults.set("momentum", 0.8);
  const auto momentum = [](const GroupOptions& o) {
    return std::get<MatrixRule>(o.update()).momentum;
  };
  EXPECT_EQ(momentum(merged(defaults, explicit_one, "g")), 0.95);
  EXPECT_EQ(momentum(merged(defaults, {}, "g")), 0.8);
  const GroupOverrides other_rule{.rule = "lion"};
  EXPECT_EQ(rule_name(merged(defaults, other_rule, "g").update()), "lion");
}

TEST(Options, DecayThatARuleCannotHaveIsRefused) {
  for (const char* rule : {"muonh", "scion"}) {
    expect_error(kKind, {"weight_decay", "0.1", "expected 0"},
                 [&] { validate(preset(rule).weight_decay(0.1), "x"); });
  }
}

TEST(RuleTable, NamesEveryPresetAndShowsSlotsAndOptions) {
  const std::string table = rule_table();
  for (const std::string& name : preset_names()) {
    EXPECT_NE(table.find(name), std::string::npos) << name;
    const std::string page = rule_page(find_preset(name));
    for (const char* word : {"source: ", "state: ", "weight_decay", "slot"}) {
      EXPECT_NE(page.find(word), std::string::npos) << name << " " << word;
    }
    const formats::Json json = rule_json(find_preset(name));
    EXPECT_EQ(json["name"], name);
    EXPECT_FALSE(json["slots"].empty());
    EXPECT_FALSE(json["options"].empty());
  }
  const std::string adamuon_page = rule_page(find_preset("adamuon"));
  for (const char* word : {"D <- sign(D)", "V <- post_beta2*V",
                           "0.2*sqrt(out*in)/|O|", "arXiv 2507.11005"}) {
    EXPECT_NE(adamuon_page.find(word), std::string::npos) << word;
  }
}

}  // namespace
}  // namespace muonlab::optim
