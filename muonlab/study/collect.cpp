#include "muonlab/study/collect.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "muonlab/core/files.h"
#include "muonlab/core/text.h"
#include "muonlab/formats/json.h"
#include "muonlab/nn/model_config.h"
#include "muonlab/study/recipe.h"
#include "muonlab/train/environment.h"
#include "muonlab/train/summary.h"

namespace muonlab::study {

namespace {

using formats::Json;

// Runs of before it was taken lack it.
std::optional<double> accuracy_of(const Json& json) {
  if (!json.contains("accuracy")) return std::nullopt;
  return formats::number_from_json(json.at("accuracy"), "accuracy");
}

// Throws nlohmann's exceptions on an object that is no record of a run.
void add_point(const Json& json, Cell& cell) {
  const std::string kind = json.at("t").get<std::string>();
  if (kind != "train" && kind != "eval") return;
  const char* key = kind == "train" ? "loss" : "val_loss";
  (kind == "train" ? cell.train : cell.held_out)
      .push_back({json.at("step").get<std::int64_t>(),
                  json.at("tokens").get<std::int64_t>(),
                  formats::number_from_json(json.at(key), key),
                  formats::number_from_json(json.at("wall"), "wall"),
                  accuracy_of(json)});
}

// A line that a kill cut short is left out; anything else odd is an error.
void read_curves(const std::filesystem::path& path, Cell& cell) {
  const std::string text = core::read_file(path);
  std::istringstream lines(text);
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    try {
      add_point(Json::parse(line), cell);
    } catch (const nlohmann::json::exception& e) {
      if (lines.eof()) return;
      throw Error(ErrorKind::kCorruptData,
                  concat(path.string(), ":", number,
                         ": not a record of a run: ", e.what()),
                  "remove the run folder and run the study again");
    }
  }
}

std::string model_line(const nn::ModelConfig& m, std::int64_t parameters) {
  return concat("decoder transformer, width ", m.width, ", ", m.layers,
                " layers, ", m.heads, " heads, ", m.activation, " (", m.hidden,
                "), ", m.positions == "none" ? "no" : m.positions,
                " positions, ", m.tied_head ? "tied" : "untied", " head, ",
                core::grouped(parameters), " parameters");
}

std::string schedule_line(const train::RunConfig& c) {
  std::string line = concat("schedule: ", c.schedule_shape, ", warm-up ",
                            core::fixed(100 * c.schedule_warmup, 0), " %");
  if (c.schedule_shape == "trapezoid") {
    line += concat(", decay over the last ",
                   core::fixed(100 * c.schedule_decay, 0), " %");
  }
  if (c.schedule_shape == "constant") return line;
  return concat(line, ", floor ", core::shortest(c.schedule_floor));
}

bool searches(const StudyPlan& plan, const std::string& key) {
  return std::ranges::any_of(plan.arms, [&](const ArmPlan& arm) {
    return std::ranges::any_of(
        arm.keys, [&](const SearchedKey& one) { return one.key == key; });
  });
}

std::string decay_line(const StudyPlan& plan, const train::RunConfig& c) {
  const std::string elsewhere = core::shortest(c.optim.auxiliary_weight_decay);
  if (searches(plan, "optim.weight_decay")) {
    return concat("weight decay ", elsewhere, " beyond the hidden matrices");
  }
  // What the plan says for all; an arm or a case may set its own.
  return concat("weight decay ",
                plan.base.optim.weight_decay
                    ? core::shortest(*plan.base.optim.weight_decay)
                    : std::string("of each rule"),
                " on hidden matrices, ", elsewhere, " elsewhere");
}

std::string matrices_line(const nn::ModelConfig& m) {
  if (m.init_matrix_std) {
    return concat("matrices ", core::shortest(*m.init_matrix_std));
  }
  return concat("matrices ", core::shortest(m.init_gain),
                "/sqrt(fan_in), output projections ",
                core::shortest(m.init_output_gain));
}

std::vector<std::string> shared_settings(const StudyPlan& plan,
                                         const train::RunConfig& c) {
  return {
      concat("batch: ", c.batch, " sequences of ", c.model.context, " tokens"),
      schedule_line(c),
      c.clip > 0 ? "gradient clipping at " + core::shortest(c.clip)
                 : std::string("no gradient clipping"),
      decay_line(plan, c),
      "the rules' momenta, betas and epsilons",
      concat("initial weights: ", matrices_line(c.model), ", embedding ",
             core::shortest(c.model.init_embedding_std), ", head ",
             core::shortest(c.model.init_head_std)),
      "model size, context, number of steps"};
}

}  // namespace

bool read_finished(const std::filesystem::path& folder,
                   const std::string& identity, Cell& cell) {
  const auto path = folder / "summary.json";
  if (!std::filesystem::exists(path)) return false;
  const train::RunSummary s = train::read_summary(path);
  if (s.identity != identity ||
      (s.status != "done" && s.status != "diverged")) {
    return false;
  }
  cell.state = s.status;
  cell.cause = s.cause;
  cell.initial_loss = s.initial_loss;
  // Protocol C.1.8: failures are data; a diverged run has its starting loss.
  cell.loss = s.status == "diverged" ? s.initial_loss : s.val_loss;
  cell.bits_per_byte = s.bits_per_byte;
  cell.standard_error = s.standard_error;
  cell.accuracy = s.accuracy;
  cell.flops = s.flops;
  cell.tokens = s.tokens;
  cell.clipped_share = s.clipped_share;
  cell.wall_seconds = s.train_seconds;
  cell.peak_memory_bytes = s.peak_memory_bytes;
  cell.step_time = StepTime{s.step_seconds.forward, s.step_seconds.backward,
                            s.step_seconds.optimizer, s.step_seconds.other};
  read_curves(folder / "metrics.jsonl", cell);
  return true;
}

Error cell_error(const std::string& id, const std::filesystem::path& folder,
                 int exit_code) {
  std::string words = "no output";
  try {
    std::istringstream lines(core::read_file(folder / "output.txt"));
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("hint:", 0) != 0 && !line.empty()) words = line;
    }
  } catch (const Error&) {
    words = "its output.txt cannot be read";
  }
  const ErrorKind kind = exit_code == 4   ? ErrorKind::kIo
                         : exit_code == 3 ? ErrorKind::kInvalidArgument
                         : exit_code == 6 ? ErrorKind::kInterrupted
                         : exit_code == 7 ? ErrorKind::kUnsupported
                                          : ErrorKind::kInternal;
  return Error(
      kind,
      concat("cell ", id, " ended with exit code ", exit_code, ": ", words),
      "mend the cause and give the same command again: finished cells "
      "are kept");
}

Setup describe_setup(const StudyPlan& plan, const train::RunConfig& config,
                     const data::Dataset& dataset) {
  const data::DatasetInfo& info = dataset.info();
  Setup setup;
  setup.name = plan.name;
  setup.title = plan.title;
  setup.baseline = plan.baseline;
  std::int64_t documents = 0;
  std::int64_t bytes = 0;
  for (const data::Split split : data::kSplits) {
    documents += info.split(split).n_documents;
    bytes += info.split(split).bytes;
  }
  setup.corpus = concat(info.corpus_name, ": ", documents, " documents, ",
                        core::byte_size(static_cast<double>(bytes)), "; ",
                        info.split_by_windows()
                            ? "overlapping windows of one text, divided at "
                              "random ("
                            : "split by document hash (",
                        info.split_rule, ")");
  setup.split_by_windows = info.split_by_windows();
  setup.tokenizer = concat(
      info.tokenizer_kind, ", vocabulary ", core::grouped(info.vocabulary),
      info.tokenizer_from_file ? ", from a file"
                               : ", trained on the training documents");
  const nn::ModelSize size = nn::model_size(config.model);
  setup.parameters = size.parameters;
  setup.hidden_parameters = size.hidden;
  setup.model = model_line(config.model, setup.parameters);
  setup.machine = train::machine_line();
  setup.versions = train::version_line();
  setup.steps = config.steps;
  setup.last_rate_share = train::schedule_of(config).factor(config.steps - 1);
  // A schedule that ends one step after the last has decayed.
  if (config.schedule_shape != "constant" && config.schedule_length == 1) {
    setup.last_rate_share = config.schedule_floor;
  }
  setup.flops_per_token = nn::flops_per_token(config.model);
  setup.width = config.model.width;
  setup.layers = config.model.layers;
  setup.report = plan.report;
  setup.tokens_per_step = config.batch * config.model.context;
  setup.train_tokens = info.split(data::Split::kTrain).n_tokens;
  setup.held_out_tokens = config.eval_windows * config.model.context;
  setup.search_seeds = {static_cast<std::uint64_t>(plan.search_seed)};
  for (const std::int64_t seed : plan.final_seeds) {
    setup.final_seeds.push_back(static_cast<std::uint64_t>(seed));
  }
  setup.not_tuned = shared_settings(plan, config);
  return setup;
}

void describe_case(const CasePlan& one, Setup& setup) {
  setup.case_name = one.name;
  setup.case_title = one.title;
  setup.rates_from = one.rates_from;
  for (const auto& [key, value] : one.settings) {
    setup.case_settings.push_back(concat(key, " = ", value.dump()));
  }
  for (const auto& [arm, pair] : one.rates) {
    setup.case_settings.push_back(concat("rates of ", arm, ": ",
                                         core::shortest(pair.first), " / ",
                                         core::shortest(pair.second)));
  }
  for (const auto& [arm, settings] : one.arms) {
    for (const auto& [key, value] : settings) {
      setup.case_settings.push_back(
          concat(arm, ": ", key, " = ", value.dump()));
    }
  }
}

std::string prepare_command(const StudyPlan& plan,
                            const data::DatasetInfo& info) {
  if (plan.recipe) return recipe_command(*plan.recipe, plan.base.data_path);
  // The sidecar knows the corpus by name.
  const std::string rule = info.split_rule;
  const std::string held_out = rule.substr(rule.rfind('=') + 1);
  return concat(
      "muonlab data prepare <folder of '", info.corpus_name, "'> --out ",
      plan.base.data_path, " --tokenizer ", info.tokenizer_kind,
      info.tokenizer_kind == "bpe" ? concat(" --vocabulary ", info.vocabulary)
                                   : std::string(),
      " --held-out ", held_out);
}

void finish_cells(const StudyPlan& plan, Results& results) {
  std::map<std::string, std::size_t> place;
  for (const ArmPlan& arm : plan.arms) place.emplace(arm.name, place.size());
  std::stable_sort(results.cells.begin(), results.cells.end(),
                   [&](const Cell& a, const Cell& b) {
                     return place.at(a.arm) < place.at(b.arm);
                   });
  for (const Cell& cell : results.cells) {
    results.setup.wall_seconds += cell.wall_seconds;
  }
}

}  // namespace muonlab::study
