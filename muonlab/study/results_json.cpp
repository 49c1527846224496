#include <cmath>
#include <nlohmann/json.hpp>

#include "muonlab/core/text.h"
#include "muonlab/study/comparison.h"
#include "muonlab/study/report.h"

namespace muonlab::study {

namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(core::shortest(value));
}

Json number(const std::optional<double>& value) {
  return value ? number(*value) : Json(nullptr);
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(number(value));
  return list;
}

// Columns rather than points: a third of the size.
Json curve(const std::vector<CurvePoint>& points) {
  Json steps = Json::array();
  Json tokens = Json::array();
  Json losses = Json::array();
  for (const CurvePoint& point : points) {
    steps.push_back(point.step);
    tokens.push_back(point.tokens);
    losses.push_back(number(point.loss));
  }
  Json all = {{"step", steps}, {"tokens", tokens}, {"loss", losses}};
  Json accuracies = Json::array();
  for (const CurvePoint& point : points) {
    if (point.accuracy) accuracies.push_back(number(point.accuracy));
  }
  if (!accuracies.empty()) all["accuracy"] = accuracies;
  return all;
}

Json settings_json(const std::vector<std::pair<std::string, double>>& all) {
  Json json = Json::object();
  for (const auto& [key, value] : all) json[key] = number(value);
  return json;
}

Json setup_json(const Setup& setup) {
  return {{"name", setup.name},
          {"case", setup.case_name},
          {"case_title", setup.case_title},
          {"case_settings", setup.case_settings},
          {"rates_from", setup.rates_from},
          {"split_by_windows", setup.split_by_windows},
          {"flops_per_token", number(setup.flops_per_token)},
          {"title", setup.title},
          {"baseline", setup.baseline},
          {"corpus", setup.corpus},
          {"model", setup.model},
          {"tokenizer", setup.tokenizer},
          {"command", setup.command},
          {"machine", setup.machine},
          {"jobs", setup.jobs},
          {"threads", setup.threads},
          {"parallel", setup.parallel},
          {"versions", setup.versions},
          {"parameters", setup.parameters},
          {"hidden_parameters", setup.hidden_parameters},
          {"steps", setup.steps},
          {"tokens_per_step", setup.tokens_per_step},
          {"train_tokens", setup.train_tokens},
          {"held_out_tokens", setup.held_out_tokens},
          {"search_seeds", setup.search_seeds},
          {"final_seeds", setup.final_seeds},
          {"wall_seconds", number(setup.wall_seconds)},
          {"not_tuned", setup.not_tuned}};
}

Json arm_json(const Arm& arm) {
  Json searches = Json::array();
  for (const RateSearch& search : arm.searches) {
    searches.push_back({{"rate", search.rate},
                        {"grid", numbers(search.grid)},
                        {"added", numbers(search.added)},
                        {"best", number(search.best)},
                        {"edge", search.edge},
                        {"fitted_optimum", number(search.fitted_optimum)},
                        {"fitted_loss", number(search.fitted_loss)},
                        {"curvature", number(search.curvature)},
                        {"fit_rates", numbers(search.fit_rates)}});
  }
  return {{"name", arm.name},
          {"rule", arm.rule},
          {"description", arm.description},
          {"trials", arm.trials},
          {"hidden_lr", number(arm.hidden_lr)},
          {"auxiliary_lr", number(arm.auxiliary_lr)},
          {"settings", settings_json(arm.settings)},
          {"searched", arm.searched},
          {"searches", searches}};
}

Json cell_json(const Cell& cell) {
  Json time = nullptr;
  if (cell.step_time) {
    time = {{"forward", number(cell.step_time->forward)},
            {"backward", number(cell.step_time->backward)},
            {"optimizer", number(cell.step_time->optimizer)},
            {"other", number(cell.step_time->other)}};
  }
  return {{"id", cell.id},
          {"arm", cell.arm},
          {"phase", cell.phase},
          {"seed", cell.seed},
          {"hidden_lr", number(cell.hidden_lr)},
          {"auxiliary_lr", number(cell.auxiliary_lr)},
          {"settings", settings_json(cell.settings)},
          {"length", number(cell.length)},
          {"extension", cell.extension},
          {"audit", cell.audit},
          {"state", cell.state},
          {"cause", cell.cause},
          {"loss", number(cell.loss)},
          {"bits_per_byte", number(cell.bits_per_byte)},
          {"standard_error", number(cell.standard_error)},
          {"accuracy", number(cell.accuracy)},
          {"flops", number(cell.flops)},
          {"tokens", cell.tokens},
          {"initial_loss", number(cell.initial_loss)},
          {"clipped_share", number(cell.clipped_share)},
          {"wall_seconds", number(cell.wall_seconds)},
          {"peak_memory_bytes", number(cell.peak_memory_bytes)},
          {"step_seconds", time},
          {"train", curve(cell.train)},
          {"held_out", curve(cell.held_out)}};
}

Json comparison_json(const Comparison& c) {
  Json interval = nullptr;
  if (c.test && c.test->interval) {
    interval = {number(c.test->interval->low), number(c.test->interval->high)};
  }
  return {{"arm", c.arm},
          {"seeds", c.seeds},
          {"differences", numbers(c.differences)},
          {"difference", number(c.difference)},
          {"interval_95", interval},
          {"t", c.test ? number(c.test->t) : Json(nullptr)},
          {"df", c.test ? number(c.test->df) : Json(nullptr)},
          {"p_paired_t", c.test ? number(c.test->p) : Json(nullptr)},
          {"p_holm", number(c.p_holm)},
          {"p_sign_flip", number(c.p_sign_flip)},
          {"sign_flip_floor", number(c.sign_flip_floor)},
          {"hedges_g", number(c.hedges_g)},
          {"warnings", c.warnings}};
}

Json case_json(const Results& results) {
  const ComparisonTable table = compare_to_baseline(results);
  Json arms = Json::array();
  for (const Arm& arm : results.arms) arms.push_back(arm_json(arm));
  Json cells = Json::array();
  for (const Cell& cell : results.cells) cells.push_back(cell_json(cell));
  Json comparisons = Json::array();
  for (const Comparison& comparison : table.comparisons) {
    comparisons.push_back(comparison_json(comparison));
  }
  const Json all = {{"schema", "muonlab-study-results-1"},
                    {"complete", table.complete && table.unfinished == 0},
                    {"setup", setup_json(results.setup)},
                    {"arms", arms},
                    {"comparisons", comparisons},
                    {"commands", results.commands},
                    {"cells", cells}};
  return all;
}

std::string text_of(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string results_json(const Results& results) {
  return text_of(case_json(results));
}

std::string results_json(const StudyResults& results) {
  if (results.cases.size() == 1 && results.setup.case_name.empty()) {
    return results_json(results.cases.front());
  }
  Json cases = Json::array();
  for (const Results& one : results.cases) cases.push_back(case_json(one));
  return text_of({{"schema", "muonlab-study-cases-1"},
                  {"name", results.setup.name},
                  {"title", results.setup.title},
                  {"cases", cases}});
}

}  // namespace muonlab::study
