// Numbers that the study "Muon vs AdamW: Learning Rate And Scaling Small LLMs"
// published (github.com/vukrosic/muon-optimizer-research, commit b093d08), to
// stand beside ours. docs/study.md says which of its files each comes from.
#pragma once

#include <optional>
#include <span>
#include <string>

namespace muonlab::study {

/// One run of Experiment 1, the search of learning rates (logs1.txt).
struct PublishedRate {
  const char* rule;   ///< "adamw" or "muon"
  double rate;        ///< of everything; Muon's AdamW has a tenth of it
  double train_loss;  ///< of the single batch at index 550 of 600
  double accuracy;    ///< held out, as printed
  double loss;        ///< held out, read off the figure, within 0.5 %
  double perplexity;  ///< as the loss
};

/// 7 rates of AdamW, then 8 of Muon, each ascending.
[[nodiscard]] std::span<const PublishedRate> published_rates();

/// One row of Experiment 2 (comprehensive_ablation_report.txt): n = 2, sd with
/// n in the denominator, p of Student's pooled t test.
struct PublishedSize {
  const char* size;    ///< "tiny", "small", "medium", "large"
  const char* metric;  ///< "loss", "accuracy", "perplexity", "time"
  double adamw;
  double adamw_sd;
  double muon;
  double muon_sd;
  double improvement;  ///< percent; positive: Muon better
  const char* p;       ///< as printed
};

[[nodiscard]] std::span<const PublishedSize> published_sizes();
/// Null for a size or metric that it lacks.
[[nodiscard]] const PublishedSize* published_size(const std::string& size,
                                                  const std::string& metric);

/// Over its four sizes: mean and sd (n in the denominator) of the improvements
/// in percent, one-sample t test against zero.
struct PublishedOverall {
  const char* metric;
  double improvement;
  double sd;
  const char* p;
};

[[nodiscard]] std::span<const PublishedOverall> published_overall();

}  // namespace muonlab::study
