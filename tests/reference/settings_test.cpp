#include "tests/reference/settings.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/reference/replay.h"

namespace muonlab::reference {
namespace {

struct Preset {
  std::string name;
  double momentum;
  std::string form;
  bool nesterov;
  std::string pre;
  std::string direction;
  std::string post;
  std::string scale;
  std::string decay;
  double lr;
  double weight_decay;
};

// The table of presets once more, column by column.
const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"muon", .95, "ema", true, "none", "polar", "none", "s2", "decoupled",
       .02, 0},
      {"torch-muon", .95, "ema", true, "none", "polar", "none", "s2",
       "decoupled", 1e-3, .1},
      {"muonw", .95, "heavy-ball", true, "none", "polar", "none", "s4",
       "decoupled", 1e-3, .1},
      {"muonclip", .95, "heavy-ball", true, "none", "polar", "none", "s4",
       "decoupled", 1e-3, .1},
      {"simuon", .95, "heavy-ball", false, "sign", "polar", "none", "s4",
       "decoupled", 1e-3, .1},
      {"adamuon", .95, "heavy-ball", false, "sign", "polar", "second-moment",
       "s7", "decoupled", 6e-4, .1},
      {"adamuon-repo", .95, "ema", true, "sign", "polar", "second-moment", "s7",
       "decoupled", 6e-4, .1},
      {"normuon", .95, "ema", true, "none", "polar", "row-second-moment", "s2",
       "decoupled", .02, 0},
      {"normuon-paper", .95, "ema", true, "none", "polar", "row-second-moment",
       "s7", "decoupled", 1e-3, .1},
      {"muon-plus", .95, "ema", true, "none", "polar", "unit-norm", "s2",
       "decoupled", .02, 0},
      {"muoneq-r", .95, "ema", false, "rows", "polar", "none", "s4",
       "decoupled", 1e-3, .1},
      {"muoneq-c", .95, "ema", false, "columns", "polar", "none", "s4",
       "decoupled", 1e-3, .1},
      {"muoneq-rc", .95, "ema", false, "rows-columns", "polar", "none", "s4",
       "decoupled", 1e-3, .1},
      {"muon2", .95, "ema", false, "second-moment", "polar", "none", "s4",
       "decoupled", 1e-3, .1},
      {"muonh", .95, "heavy-ball", true, "none", "polar", "none", "s9",
       "decoupled", .02, 0},
      {"scion", .9, "ema", false, "none", "polar", "none", "s8", "constrained",
       0x1p-12, 0},
      {"scion-unconstrained", .9, "ema", false, "none", "polar", "none", "s8",
       "decoupled", 0x1p-12, 0},
      {"polargrad", .95, "ema", false, "none", "polar", "none", "s6",
       "decoupled", .02, 0},
      {"namo", .95, "ema", false, "none", "polar", "none", "namo", "scaled",
       1e-3, .1},
      {"dion-muon", .95, "heavy-ball", false, "none", "polar", "none", "s3",
       "decoupled", .01, .01},
      {"muon-cautious", .95, "ema", true, "none", "polar", "none", "s2",
       "cautious", .02, .1},
      {"schatten", .95, "ema", true, "none", "schatten", "none", "s2",
       "decoupled", .02, 0},
      {"power", .95, "ema", true, "none", "power", "none", "s2", "decoupled",
       .02, 0}};
  return all;
}

TEST(Settings, PresetsOfTheFamilyAreThoseOfTheTable) {
  std::set<std::string> names;
  for (const Preset& preset : presets()) {
    const Settings s(preset.name, {});
    EXPECT_EQ(s.number("momentum"), preset.momentum) << preset.name;
    EXPECT_EQ(s.text("momentum_form"), preset.form) << preset.name;
    EXPECT_EQ(s.flag("nesterov"), preset.nesterov) << preset.name;
    EXPECT_EQ(s.text("pre"), preset.pre) << preset.name;
    EXPECT_EQ(s.text("direction"), preset.direction) << preset.name;
    EXPECT_EQ(s.text("post"), preset.post) << preset.name;
    EXPECT_EQ(s.text("scale"), preset.scale) << preset.name;
    EXPECT_EQ(s.text("decay"), preset.decay) << preset.name;
    EXPECT_EQ(s.number("lr"), preset.lr) << preset.name;
    EXPECT_EQ(s.number("weight_decay"), preset.weight_decay) << preset.name;
    EXPECT_EQ(s.number("scale_factor"),
              preset.name.starts_with("scion") ? 50 : 1)
        << preset.name;
    EXPECT_EQ(s.number("qk_clip"), preset.name == "muonclip" ? 100 : 0);
    names.insert(preset.name);
  }
  for (const std::string& name : twin_names()) {
    EXPECT_EQ(names.contains(name),
              resolved_options(name, {}).contains("direction"))
        << name;
  }
}

TEST(Settings, ZeroGradientsAreSkippedButForThreePresets) {
  const std::set<std::string> others = {"torch-muon", "adamuon-repo",
                                        "dion-muon"};
  for (const Preset& preset : presets()) {
    EXPECT_NE(Settings(preset.name, {}).flag("skip_zero"),
              others.contains(preset.name))
        << preset.name;
  }
}

TEST(Settings, PolarOptionsOfThePresets) {
  for (const Preset& preset : presets()) {
    if (preset.direction != "polar") continue;
    const Settings s(preset.name, {});
    const bool torch = preset.name == "torch-muon";
    const bool dion = preset.name == "dion-muon";
    EXPECT_EQ(s.text("polar_method"),
              preset.name == "polargrad" ? "qdwh" : "newton-schulz");
    EXPECT_EQ(s.text("polar_coefficients"),
              dion ? "polar-express-modded" : "keller");
    EXPECT_EQ(s.number("polar_steps"), 5);
    EXPECT_EQ(s.number("polar_eps"), dion ? 1e-8 : 1e-7);
    EXPECT_EQ(s.text("polar_eps_mode"), torch ? "clamp" : "add");
    EXPECT_EQ(s.text("polar_dtype"), torch || dion ? "bfloat16" : "auto");
  }
}

TEST(Settings, ChoicesBringTheirOwnDefaults) {
  EXPECT_EQ(Settings("adamuon", {}).number("post_beta2"), .95);
  EXPECT_EQ(Settings("adamuon", {}).number("post_eps"), 1e-8);
  EXPECT_EQ(Settings("adamuon", {}).number("scale_eps"), 0);
  EXPECT_EQ(Settings("adamuon-repo", {}).number("scale_eps"), 1e-8);
  EXPECT_EQ(Settings("normuon", {}).number("post_beta2"), .95);
  EXPECT_EQ(Settings("normuon", {}).number("post_eps"), 1e-10);
  EXPECT_EQ(Settings("muoneq-rc", {}).number("pre_eps"), 1e-8);
  EXPECT_EQ(Settings("muon2", {}).number("pre_beta2"), .95);
  EXPECT_EQ(Settings("namo", {}).number("namo_beta2"), .95);
  EXPECT_EQ(Settings("power", {}).number("rho"), .125);
}

}  // namespace
}  // namespace muonlab::reference
