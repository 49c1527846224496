// The published models before their first step, on random tokens: reference
// values that need no corpus.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/nn/small_model.h"
#include "tests/nn/study_model.h"
#include "tests/study/published_study.h"

namespace muonlab::study {

/// Means over five random initial weights; of the loss its deviation, too.
struct StepZero {
  double loss = 0;
  double loss_deviation = 0;
  double logit_deviation = 0;  ///< over the vocabulary
  double input_logit = 0;      ///< of the token that is read
  double residual_rms = 0;     ///< before the last norm
};

struct Sample {
  std::vector<double> values;
  [[nodiscard]] double mean() const {
    double sum = 0;
    for (const double v : values) sum += v;
    return sum / static_cast<double>(values.size());
  }
  [[nodiscard]] double deviation() const {
    double squares = 0;
    for (const double v : values) squares += (v - mean()) * (v - mean());
    return std::sqrt(squares / static_cast<double>(values.size() - 1));
  }
};

/// Two means of five each: they differ by at most t sqrt((s1^2 + s2^2) / 5) in
/// 99 of 100 cases, with Student's t of 8 degrees of freedom, and half a unit
/// of the last printed digit. Where no deviation is published, ours is taken
/// for both.
inline void expect_mean(const char* what, const Sample& ours, double published,
                        double digit, double deviation) {
  constexpr double kStudent = 3.355;
  const double own = ours.deviation();
  const double bound =
      kStudent * std::sqrt((own * own + deviation * deviation) / 5) + digit / 2;
  EXPECT_NEAR(ours.mean(), published, bound) << what;
  ::testing::Test::RecordProperty(what, std::to_string(ours.mean()));
}

/// Of `batch` sequences of the context. The model's logits of the first are
/// also those of plain operators, which the residual stream is taken from.
inline void expect_step_zero(const nn::ModelConfig& config, std::int64_t batch,
                             const StepZero& expected) {
  const at::NoGradGuard no_grad;
  Sample losses, deviations, inputs, sizes;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    nn::LanguageModel model(config);
    nn::initialise(model, seed);
    const auto draw = [&](std::uint64_t stream) {
      return testing::random_tokens({batch, config.context}, config.vocabulary,
                                    10 * stream + seed);
    };
    const at::Tensor tokens = draw(1);
    const auto plain = testing::study_model(model, tokens.narrow(0, 0, 1));
    sizes.values.push_back(plain.residual.pow(2).mean().sqrt().item<double>());
    const at::Tensor logits = model.forward(tokens);
    // As in fused_pass_test.cpp, for the way there alone.
    const double rounding =
        4 * std::sqrt(10 * static_cast<double>(config.layers) + 3) *
        (1 + std::sqrt(static_cast<double>(config.hidden))) * 0x1p-24;
    EXPECT_LE((logits.narrow(0, 0, 1) - plain.logits).norm().item<double>(),
              rounding * plain.logits.norm().item<double>());
    const at::Tensor rows = logits.view({-1, config.vocabulary});
    losses.values.push_back(
        at::cross_entropy_loss(rows, draw(2).flatten()).item<double>());
    deviations.values.push_back(rows.std(1).mean().item<double>());
    inputs.values.push_back(
        rows.gather(1, tokens.view({-1, 1})).mean().item<double>());
  }
  expect_mean("loss", losses, expected.loss, 1e-3, expected.loss_deviation);
  expect_mean("logit_deviation", deviations, expected.logit_deviation, 1e-3,
              deviations.deviation());
  expect_mean("input_logit", inputs, expected.input_logit, 1e-2,
              inputs.deviation());
  expect_mean("residual_rms", sizes, expected.residual_rms, 1e-3,
              sizes.deviation());
}

inline void expect_step_zero_of_size(const std::string& name,
                                     const StepZero& expected) {
  const StudyPlan plan = published_size(name);
  const auto config = cell_of(plan, "adamw", 3e-3, "final", 42).model;
  expect_step_zero(config, 2, expected);
}

}  // namespace muonlab::study
