// What repeating the published study exactly comes to: sizes, rules, rates,
// schedule and tokens, as its code and its logs have them.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <map>
#include <numbers>
#include <string>
#include <vector>

#include "muonlab/data/window_split.h"
#include "muonlab/nn/language_model.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/train/routing.h"
#include "tests/study/published_study.h"

namespace muonlab::study {
namespace {

using ::testing::ElementsAre;
using train::RunConfig;

RunConfig experiment_1(const std::string& arm, double rate) {
  return cell_of(published_plan(1), arm, rate, "search", 42);
}

RunConfig experiment_2(const std::string& size, const std::string& arm) {
  const StudyPlan plan = published_size(size);
  return cell_of(plan, arm, arm_of(plan, arm).joint.front(), "final", 42);
}

// Table 2.1 and 2.4 of its facts.
struct Size {
  const char* name;
  std::int64_t parameters;
  std::int64_t matrices;
  std::int64_t heads;
  std::int64_t micro_batch;
  std::int64_t micro_steps;
  std::int64_t updates;
  std::int64_t tokens_per_update;
  std::int64_t presented;
  std::int64_t windows;  // evaluated
  std::int64_t in_loop;  // evaluations before the last
  std::int64_t warmup;   // updates
  double last_factor;
  double logged_factor;  // at the last logged micro-step
  double logged_adamw;   // 3 digits
  double logged_muon;
};

constexpr Size kSizes[] = {
    {"tiny", 11'208'384, 1'769'472, 6, 32, 6000, 1500, 65'536, 98'304'000, 3200,
     11, 300, .9053, .9071, 2.72e-3, 9.07e-3},
    {"small", 29'496'192, 10'616'832, 8, 24, 5000, 1250, 49'152, 61'440'000,
     2400, 9, 250, .9053, .9075, 2.72e-3, 9.07e-3},
    {"medium", 50'340'352, 25'165'824, 8, 16, 4000, 1000, 32'768, 32'768'000,
     1600, 7, 200, .9053, .9081, 2.72e-3, 9.08e-3},
    {"large", 108'543'744, 70'778'880, 16, 12, 3000, 750, 24'576, 18'432'000,
     1200, 5, 150, .9054, .9090, 2.73e-3, 9.09e-3}};

void expect_block(const nn::ModelConfig& m) {
  EXPECT_EQ(m.vocabulary, 49'152);
  EXPECT_EQ(m.activation, "silu");
  EXPECT_EQ(m.positions, "none");
  EXPECT_TRUE(m.tied_head);
  EXPECT_TRUE(m.scale_embedding);
  EXPECT_FALSE(m.qk_norm);
  EXPECT_FLOAT_EQ(static_cast<float>(m.norm_eps), FLT_EPSILON);
  EXPECT_EQ(m.init_matrix_std, 0.02);
  EXPECT_EQ(m.init_embedding_std, 0.02);
}

TEST(PublishedExperiment1, HasItsModel) {
  for (const char* arm : {"adamw", "muon"}) {
    const nn::ModelConfig m = experiment_1(arm, 0.01).model;
    expect_block(m);
    EXPECT_EQ(nn::model_size(m).parameters, 15'730'944);
    EXPECT_EQ(nn::model_size(m).hidden, 3'145'728);
    EXPECT_EQ(m.context, 256);
    EXPECT_EQ(m.heads, 8);
    EXPECT_EQ(m.dropout, 0);
  }
}

TEST(PublishedExperiment1, HasItsData) {
  const StudyPlan plan = published_plan(1);
  ASSERT_TRUE(plan.recipe.has_value());
  EXPECT_EQ(plan.recipe->documents, 200);
  EXPECT_EQ(plan.recipe->characters, 1500);
  EXPECT_EQ(plan.recipe->tokens, 30'000);
  EXPECT_FALSE(plan.recipe->separator);
  EXPECT_EQ(plan.recipe->split, "windows");
  EXPECT_EQ(plan.base.data_split, "windows");
  const data::WindowSplit split =
      data::window_split(plan.recipe->tokens, plan.base.model.context,
                         data::WindowRule().seed, plan.recipe->held_out);
  EXPECT_EQ(std::ssize(split.train), 26'770);
  EXPECT_EQ(std::ssize(split.validation), 2'974);
}

TEST(PublishedExperiment1, HasItsStepsAndTokens) {
  for (const char* arm : {"adamw", "muon"}) {
    const RunConfig c = experiment_1(arm, 0.01);
    EXPECT_EQ(c.steps, 600);
    EXPECT_EQ(c.batch * c.model.context, 8'192);
    EXPECT_EQ(c.accumulation, 1);
    EXPECT_EQ(c.steps * c.batch * c.model.context, 4'915'200);
    EXPECT_EQ(c.eval_windows * c.model.context, 24'576);
    EXPECT_EQ((c.steps - 1) / c.eval_every, 5) << "evaluations before the last";
    EXPECT_EQ(c.clip, 1);
    EXPECT_EQ(c.seed, 42);
    EXPECT_EQ(c.stop_ratio, 2);
    EXPECT_EQ(c.stop_after, 100);
    EXPECT_EQ(c.stop_patience, 11);
    const optim::Schedule schedule = schedule_of(c);
    for (std::int64_t u = 0; u < c.steps; ++u) {
      ASSERT_EQ(schedule.factor(u), 1) << "constant, without a warm-up";
    }
  }
}

TEST(PublishedExperiment1, SearchesItsRatesOnOneSeed) {
  const StudyPlan plan = published_plan(1);
  ASSERT_EQ(plan.arms.size(), 2U);
  EXPECT_THAT(arm_of(plan, "adamw").joint,
              ElementsAre(1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2));
  EXPECT_THAT(arm_of(plan, "muon").joint,
              ElementsAre(0.001, 0.003, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05));
  EXPECT_EQ(plan.search_seed, 42);
  EXPECT_TRUE(plan.final_seeds.empty());
  std::size_t trials = 0;
  for (const ArmPlan& arm : plan.arms) trials += planned_trials(plan, arm);
  EXPECT_EQ(trials, 15U);
}

TEST(PublishedExperiment2, HasItsModels) {
  for (const Size& size : kSizes) {
    SCOPED_TRACE(size.name);
    const nn::ModelConfig m = experiment_2(size.name, "muon").model;
    expect_block(m);
    EXPECT_EQ(nn::model_size(m).parameters, size.parameters);
    EXPECT_EQ(nn::model_size(m).hidden, size.matrices);
    EXPECT_EQ(m.heads, size.heads);
    EXPECT_EQ(m.hidden, 4 * m.width);
    EXPECT_EQ(m.context, 512);
    EXPECT_EQ(m.dropout, 0.1);
  }
}

TEST(PublishedExperiment2, HasItsUpdatesAndTokens) {
  for (const Size& size : kSizes) {
    SCOPED_TRACE(size.name);
    for (const char* arm : {"adamw", "muon"}) {
      const RunConfig c = experiment_2(size.name, arm);
      EXPECT_EQ(c.steps, size.updates);
      EXPECT_EQ(c.steps * c.accumulation, size.micro_steps);
      EXPECT_EQ(c.batch / c.accumulation, size.micro_batch);
      EXPECT_EQ(c.batch * c.model.context, size.tokens_per_update);
      EXPECT_EQ(c.steps * c.batch * c.model.context, size.presented);
      EXPECT_EQ(c.eval_windows, size.windows);
      EXPECT_EQ((c.steps - 1) / c.eval_every, size.in_loop);
      EXPECT_EQ(c.clip, 1);
    }
  }
  const StudyPlan plan = published_plan(2);
  EXPECT_THAT(plan.final_seeds, ElementsAre(42, 1042));
  EXPECT_EQ(plan.recipe->tokens, 500'000);
  EXPECT_FALSE(plan.recipe->separator);
  EXPECT_EQ(plan.recipe->split, "windows");
  for (const ArmPlan& arm : plan.arms) EXPECT_TRUE(arm.is_fixed()) << arm.name;
}

// Sized in micro-steps, stepped once in four.
TEST(PublishedExperiment2, HasItsSchedule) {
  for (const Size& size : kSizes) {
    SCOPED_TRACE(size.name);
    for (const char* arm : {"adamw", "muon"}) {
      const RunConfig c = experiment_2(size.name, arm);
      const optim::Schedule schedule = schedule_of(c);
      EXPECT_EQ(schedule.warmup, size.warmup);
      EXPECT_EQ(schedule.factor(0), 0);
      const auto total = static_cast<double>(size.micro_steps);
      const auto warmup = static_cast<double>(size.warmup);
      double sum = 0;
      double whole = 0;
      for (std::int64_t u = 0; u < size.micro_steps; ++u) {
        const auto at = static_cast<double>(u);
        const double expected =
            u < size.warmup
                ? at / warmup
                : .1 + .45 * (1 + std::cos(std::numbers::pi * (at - warmup) /
                                           (total - warmup)));
        ASSERT_NEAR(schedule.factor(u), expected, 1e-14) << "update " << u;
        whole += expected;
        if (u < c.steps) sum += schedule.factor(u);
      }
      // As far as they are printed.
      EXPECT_NEAR(schedule.factor(c.steps - 1), size.last_factor, .5e-4);
      const double logged = schedule.factor((size.micro_steps - 50) / 4);
      EXPECT_NEAR(logged, size.logged_factor, .5e-4);
      EXPECT_NEAR(sum / static_cast<double>(c.steps), .874, .5e-3);
      EXPECT_NEAR(whole / total, .547, .5e-3) << "as it was meant";
      EXPECT_NEAR(*c.optim.lr * logged,
                  c.optim.rule == "muon" ? size.logged_muon : size.logged_adamw,
                  .5e-5);
    }
  }
}

struct Rule {
  std::string name;
  double rate = 0;   // times the scale
  double decay = 0;  // share removed in a step
  double scale = 1;
  std::size_t matrices = 0;
};

std::map<std::string, Rule> rules_of(const RunConfig& c) {
  const nn::LanguageModel model(c.model);
  const auto rows =
      optim::plan_json(train::plan_for(model, c.optim)).at("parameters");
  std::map<std::string, Rule> rules;
  for (const auto& row : rows) {
    Rule& rule = rules[row.at("name")];
    rule = {row.at("rule"), row.at("effective_lr").at(0),
            row.at("effective_weight_decay"), 1, row.at("blocks").size()};
    if (rule.matrices > 0) rule.scale = row.at("scale_factor").at(0);
  }
  return rules;
}

void expect_adamw(const RunConfig& c, double rate, double decay) {
  const auto rules = rules_of(c);
  EXPECT_EQ(rules.size(), static_cast<std::size_t>(6 * c.model.layers + 2));
  for (const auto& [name, rule] : rules) {
    SCOPED_TRACE(name);
    EXPECT_EQ(rule.name, "adamw");
    EXPECT_DOUBLE_EQ(rule.rate, rate);
    EXPECT_DOUBLE_EQ(rule.decay, rate * decay);
  }
}

void expect_muon(const RunConfig& c, double rate, double decay) {
  const std::map<std::string, double> scales = {
      {"qkv", std::sqrt(3.0)}, {"output", 1}, {"up", 2}, {"down", 1}};
  std::int64_t values = 0;
  for (const auto& [name, rule] : rules_of(c)) {
    SCOPED_TRACE(name);
    const auto scale = scales.find(name.substr(name.rfind('.') + 1));
    if (scale == scales.end()) {
      EXPECT_EQ(rule.name, "adamw");
      EXPECT_DOUBLE_EQ(rule.rate, 0.1 * rate);
      EXPECT_DOUBLE_EQ(rule.decay, 0.1 * rate * decay);
      continue;
    }
    EXPECT_EQ(rule.name, "muon");
    EXPECT_EQ(rule.matrices, 1U) << "query, key and value are one matrix";
    EXPECT_DOUBLE_EQ(rule.scale, scale->second);
    EXPECT_DOUBLE_EQ(rule.rate, rate * scale->second);
    EXPECT_EQ(rule.decay, 0);
    ++values;
  }
  EXPECT_EQ(values, 4 * c.model.layers);
}

void expect_options(const RunConfig& c) {
  const auto adam = auxiliary_options(c.optim).update();
  for (const auto& update :
       {adam,
        c.optim.rule == "adamw" ? hidden_options(c.optim).update() : adam}) {
    const auto& rule = std::get<optim::AdamRule>(update);
    EXPECT_EQ(rule.beta1, 0.9);
    EXPECT_EQ(rule.beta2, 0.999);
    EXPECT_EQ(rule.eps, 1e-8);
  }
  if (c.optim.rule == "adamw") return;
  const auto options = hidden_options(c.optim).update();
  const auto& muon = std::get<optim::MatrixRule>(options);
  EXPECT_EQ(muon.momentum, 0.95);
  EXPECT_EQ(muon.momentum_form, optim::MomentumForm::kEma);
  EXPECT_TRUE(muon.nesterov);
  EXPECT_EQ(c.optim.options.word("polar_method"), "newton-schulz");
  EXPECT_EQ(c.optim.options.word("polar_coefficients"), "keller");
  EXPECT_EQ(c.optim.options.integer("polar_steps"), 5);
  EXPECT_EQ(c.optim.options.word("polar_dtype"), "bfloat16");
}

TEST(PublishedRules, OfExperiment1) {
  expect_adamw(experiment_1("adamw", 3e-3), 3e-3, 0.01);
  expect_muon(experiment_1("muon", 0.01), 0.01, 0.01);
  expect_muon(experiment_1("muon", 0.05), 0.05, 0.01);
  expect_options(experiment_1("adamw", 3e-3));
  expect_options(experiment_1("muon", 0.01));
}

TEST(PublishedRules, OfExperiment2) {
  expect_adamw(experiment_2("tiny", "adamw"), 3e-3, 0.1);
  expect_muon(experiment_2("tiny", "muon"), 1e-2, 0.1);
  expect_options(experiment_2("tiny", "adamw"));
  expect_options(experiment_2("tiny", "muon"));
}

// With gradients of zero AdamW's step is its decay alone: it reaches gains and
// embedding in both arms, and matrices in AdamW's.
TEST(PublishedRules, DecayReachesGainsAndEmbedding) {
  for (const char* arm : {"adamw", "muon"}) {
    RunConfig c = experiment_2("tiny", arm);
    c.model.vocabulary = 16;
    c.model.width = 12;
    c.model.hidden = 48;
    c.model.layers = 1;
    nn::LanguageModel model(c.model);
    {
      const at::NoGradGuard no_grad;
      for (auto& item : model.named_parameters()) item.value().fill_(1);
    }
    optim::Optimizer optimizer(train::plan_for(model, c.optim));
    for (auto& item : model.named_parameters()) {
      item.value().mutable_grad() = at::zeros_like(item.value());
    }
    optimizer.step();
    const double rate = c.optim.auxiliary_lr;
    for (const auto& item : model.named_parameters()) {
      const bool matrix = item.value().dim() == 2 && item.key() != "embedding";
      const double expected =
          matrix && c.optim.rule == "muon" ? 1 : 1 - rate * 0.1;
      EXPECT_LE((item.value() - expected).abs().max().item<double>(),
                FLT_EPSILON)
          << arm << ": " << item.key();
    }
    EXPECT_GT(rate * 0.1, 100 * FLT_EPSILON);
  }
}

}  // namespace
}  // namespace muonlab::study
