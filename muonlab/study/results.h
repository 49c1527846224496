// What a study has measured: the report, the tables and the statistics read
// this and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace muonlab::study {

/// One point of a curve.
struct CurvePoint {
  std::int64_t step = 0;                ///< optimizer steps done
  std::int64_t tokens = 0;              ///< training tokens seen
  double loss = 0;                      ///< nats per token
  double seconds = 0;                   ///< on the training clock
  std::optional<double> accuracy = {};  ///< of held-out points
};

/// Seconds per optimizer step, medians over the steps after the first few.
struct StepTime {
  double forward = 0;
  double backward = 0;
  double optimizer = 0;  ///< clipping and step()
  double other = 0;      ///< batch, logging
};

/// One run of the study.
struct Cell {
  std::string id;  ///< names the run folder
  std::string arm;
  std::string phase;  ///< "search", "final", "horizon" or "timing"
  std::uint64_t seed = 0;
  double hidden_lr = 0;
  double auxiliary_lr = 0;
  /// Values of the arm's other searched keys: {"optim.weight_decay", 0.1}.
  std::vector<std::pair<std::string, double>> settings;
  double length = 1;   ///< share of the case's steps; below 1 in a rung
  bool audit = false;  ///< finished although a rung discarded it
  std::string state;   ///< "queued", "running", "done", "failed", "diverged"
  std::string cause;   ///< why it failed or diverged; else empty
  /// Held-out loss in nats per token at the end: on the selection half for
  /// "search", on the reporting half for "final". A diverged cell has the loss
  /// at initialisation. Unset unless done or diverged.
  std::optional<double> loss;
  std::optional<double> bits_per_byte;
  /// Standard error of `loss` over held-out windows.
  std::optional<double> standard_error;
  std::optional<double> accuracy;  ///< share of held-out tokens ranked first
  double flops = 0;                ///< of the model, over the whole run
  std::int64_t tokens = 0;         ///< trained on
  double initial_loss = 0;
  double clipped_share = 0;  ///< share of steps whose gradient was clipped
  double wall_seconds = 0;   ///< training only
  double peak_memory_bytes = 0;
  std::optional<StepTime> step_time;  ///< meaningful for "timing" cells only
  std::vector<CurvePoint> train;      ///< training loss, every logged step
  std::vector<CurvePoint> held_out;   ///< held-out evaluations
  bool extension = false;  ///< a trial added because the best lay on an edge
};

/// How one rate of one arm was searched.
struct RateSearch {
  /// "hidden", "auxiliary", "joint" or a dotted key.
  std::string rate;
  std::vector<double> grid;   ///< as planned
  std::vector<double> added;  ///< by extension
  double best = 0;
  bool edge = false;  ///< best is still at the edge of what was tried
  /// Optimum and curvature of a parabola in log2(rate) through the best three
  /// to five points; unset when it does not open upwards or has its optimum
  /// outside the points.
  std::optional<double> fitted_optimum;
  std::optional<double> fitted_loss;
  std::optional<double> curvature;  ///< nats per octave squared
  std::vector<double> fit_rates;    ///< the points that the fit used
};

struct Arm {
  std::string name;         ///< "adamw-joint", "adamw", "muon", "muonw"
  std::string rule;         ///< preset for the hidden matrices
  std::string description;  ///< one line, from the plan
  std::vector<RateSearch> searches;
  int trials = 0;           ///< search cells, extensions included
  double hidden_lr = 0;     ///< chosen
  double auxiliary_lr = 0;  ///< chosen
  std::vector<std::pair<std::string, double>> settings;  ///< chosen
  bool searched = true;  ///< false: the plan or another case gave the rates
};

struct Setup {
  std::string name;       ///< "quick", of a case "sizes/w64"
  std::string case_name;  ///< empty where a study has no cases
  std::string case_title;
  /// Which settings a case changes, as in the plan: "model.width = 64".
  std::vector<std::string> case_settings;
  std::string rates_from;  ///< the case that gave the rates; empty: none did
  std::string title;       ///< one line
  std::string baseline;    ///< the arm that the others are compared with
  std::string corpus;      ///< e.g. "data/sotu: 233 documents, 10.8 MB"
  std::string model;  ///< e.g. "width 128, 4 layers, ..., 1.07 M parameters"
  std::string tokenizer;
  std::string command;       ///< what was run
  std::string machine;       ///< CPU, cores
  std::int64_t jobs = 0;     ///< runs side by side; 0: not known
  std::int64_t threads = 0;  ///< of each run; 0: not known
  std::string parallel;      ///< both in words, and why
  std::string versions;      ///< muonlab, LibTorch, compiler
  std::int64_t parameters = 0;
  std::int64_t hidden_parameters = 0;
  std::int64_t steps = 0;
  std::int64_t tokens_per_step = 0;
  std::int64_t train_tokens = 0;     ///< size of the training split
  std::int64_t held_out_tokens = 0;  ///< predicted in each evaluation
  bool split_by_windows = false;     ///< held-out tokens are trained on
  double flops_per_token = 0;
  std::int64_t width = 0;
  std::int64_t layers = 0;
  std::vector<std::uint64_t> search_seeds;
  std::vector<std::uint64_t> final_seeds;
  double wall_seconds = 0;             ///< sum of the runs' training times
  std::int64_t planned_cells = 0;      ///< all runs of the plan; 0: not known
  double last_rate_share = 0;          ///< of the peak rate, at the last step
  std::string report;                  ///< see StudyPlan
  std::vector<std::string> not_tuned;  ///< what every arm shares, untuned
};

/// One case of a study, or a study without cases.
struct Results {
  Setup setup;
  std::vector<Arm> arms;              ///< in the plan's order
  std::vector<Cell> cells;            ///< in the plan's order
  std::vector<std::string> commands;  ///< that reproduce the study
};

/// A study with cases.
struct StudyResults {
  Setup setup;                 ///< of the first case, named as the study
  std::vector<Results> cases;  ///< in the plan's order
};

}  // namespace muonlab::study
