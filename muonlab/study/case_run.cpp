#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/text.h"
#include "muonlab/study/case_run_internal.h"
#include "muonlab/study/collect.h"
#include "muonlab/study/wording_internal.h"
#include "muonlab/train/interrupt.h"
#include "muonlab/train/open_dataset.h"
#include "muonlab/train/windows.h"

namespace muonlab::study::detail {

namespace {

constexpr auto kPollPause = std::chrono::milliseconds(30);
constexpr auto kElsewherePause = std::chrono::seconds(1);
constexpr int kDivergedExit = 5;
constexpr int kInternalExit = 70;
constexpr int kAttempts = 2;
constexpr const char* kAlreadyDone = "already done";

// Usage, configuration, data and what is unsupported fail the next time too; a
// signal (out of memory, a node that goes down) or an internal fault may not.
bool is_worth_a_retry(int exit_code) { return exit_code >= kInternalExit; }

train::RunConfig first_config(const StudyPlan& plan) {
  const ArmPlan& arm = plan.arms.front();
  Trial trial{.hidden = 1e-3, .auxiliary = 1e-3};
  for (const SearchedKey& key : arm.keys) {
    trial.settings.emplace_back(key.key, key.values.front());
  }
  return cell_config(plan, arm, "search", plan.search_seed, trial);
}

Trial trial_of(const Cell& cell) {
  return {.hidden = cell.hidden_lr,
          .auxiliary = cell.auxiliary_lr,
          .settings = cell.settings,
          .length = cell.length};
}

}  // namespace

CaseRun::CaseRun(const StudyPlan& plan, const CaseContext& context,
                 const StudyOptions& options)
    : plan_(plan), context_(context), options_(options) {
  train::RunConfig first = first_config(plan);
  const data::Dataset dataset = train::open_dataset(first);
  for (const auto split : {data::Split::kSelection, data::Split::kReporting}) {
    train::check_windows(dataset.info(), split, first.model.context,
                         first.eval_windows);
  }
  dataset_hash_ = dataset.hash();
  vocabulary_ = dataset.info().vocabulary;
  windows_ = first.eval_windows;
  Setup& setup = results_.setup;
  setup = describe_setup(plan, first, dataset);
  setup.command = options.command;
  setup.jobs = context.parallel.form.jobs;
  setup.threads = context.parallel.form.threads;
  setup.parallel =
      concat(form_text(context.parallel.form), ": ", context.parallel.reason);
  if (context.one) describe_case(*context.one, setup);
  results_.commands = {"scripts/setup", prepare_command(plan, dataset.info()),
                       options.command};
  for (const ArmPlan& arm : plan.arms) {
    const auto given = context.given.find(arm.name);
    searches_.push_back(given == context.given.end()
                            ? make_search(arm, plan.search)
                            : given_settings(given->second));
    Arm& shown = results_.arms.emplace_back();
    shown.name = arm.name;
    shown.rule = arm.rule;
    shown.description = arm.description;
    shown.searched = !searches_.back()->finished();
    if (shown.searched) planned_ += planned_trials(plan, arm);
    planned_ += plan.final_seeds.size() + (plan.timing_steps > 0 ? 1 : 0);
  }
  if (context.one) {
    planned_ += context.one->horizons.size() * plan.final_seeds.size();
  }
  setup.planned_cells = static_cast<std::int64_t>(planned_);
}

Results CaseRun::run() {
  begin_ = std::chrono::steady_clock::now();
  for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm) ask(arm);
  drain(static_cast<std::size_t>(*plan_.jobs));
  if (options_.execute) fail_if_any_failed();
  if (std::ranges::all_of(searches_,
                          [](const auto& s) { return s->finished(); })) {
    queue_timing();
    // The plan's number is the most that a search can take; now it is known.
    planned_ = results_.cells.size();
    results_.setup.planned_cells = static_cast<std::int64_t>(planned_);
    drain(1);  // alone on the machine, so that the times mean something
  }
  fill_arms();
  finish_cells(plan_, results_);
  return results_;
}

std::map<std::string, Trial> CaseRun::chosen() const {
  std::map<std::string, Trial> all;
  for (std::size_t i = 0; i < searches_.size(); ++i) {
    if (searches_[i]->finished()) {
      all.emplace(plan_.arms[i].name, searches_[i]->best());
    }
  }
  return all;
}

void CaseRun::ask(std::size_t arm) {
  Search& search = *searches_[arm];
  for (const Trial& trial : search.next()) {
    add(arm, "search", plan_.search_seed, trial);
  }
  if (search.finished() && asked_final_.insert(arm).second) ask_final(arm);
}

void CaseRun::ask_final(std::size_t arm) {
  const Trial best = searches_[arm]->best();
  say(concat(plan_.arms[arm].name, ": ",
             results_.arms[arm].searched ? "search done, best " : "given ",
             trial_text(plan_.arms[arm], best)));
  for (const std::int64_t seed : plan_.final_seeds) {
    add(arm, "final", seed, best);
  }
  if (!context_.one || plan_.arms[arm].name != plan_.baseline) return;
  for (const double horizon : context_.one->horizons) {
    Trial trial = best;
    trial.length = horizon;
    for (const std::int64_t seed : plan_.final_seeds) {
      add(arm, "horizon", seed, trial);
    }
  }
}

void CaseRun::queue_timing() {
  if (plan_.timing_steps == 0) return;
  for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm) {
    add(arm, "timing", plan_.search_seed, searches_[arm]->best());
  }
}

void CaseRun::add(std::size_t arm, const std::string& phase, std::int64_t seed,
                  const Trial& trial) {
  Job job{.arm = arm,
          .cell = results_.cells.size(),
          .folder = {},
          .identity = {},
          .config = cell_config(plan_, plan_.arms[arm], phase, seed, trial)};
  train::resolve(job.config);
  job.config.model.vocabulary = vocabulary_;
  if (job.config.eval_windows == 0) job.config.eval_windows = windows_;
  job.identity = train::run_identity(job.config, dataset_hash_);
  Cell cell;
  cell.id =
      concat(plan_.arms[arm].name, "-", job.identity.substr(0, 8), "-s", seed);
  cell.arm = plan_.arms[arm].name;
  cell.phase = phase;
  cell.seed = static_cast<std::uint64_t>(seed);
  cell.hidden_lr = trial.hidden;
  cell.auxiliary_lr = trial.auxiliary;
  cell.settings = trial.settings;
  cell.length = trial.length;
  cell.state = "queued";
  if (phase == "search") {
    cell.extension = searches_[arm]->is_extension(trial);
    cell.audit = searches_[arm]->is_audit(trial);
  }
  job.folder = options_.runs / plan_.name / cell.id;
  results_.cells.push_back(std::move(cell));
  queue_.push_back(std::move(job));
}

void CaseRun::check_interrupted() const {
  if (!train::interrupted()) return;
  throw Error(ErrorKind::kInterrupted,
              concat("study '", plan_.name, "': interrupted after ", ended_,
                     " of ", planned_, " cells"),
              "the same command goes on from here");
}

// Runs everything queued, and what its results ask for, `jobs` at a time.
void CaseRun::drain(std::size_t jobs) {
  ProcessPool pool;
  while (!queue_.empty() || pool.running() > 0) {
    check_interrupted();
    renew_claims(pool);
    if (pool.running() < jobs && start_one(pool)) continue;
    const auto ended = pool.poll();
    if (!ended) {
      std::this_thread::sleep_for(kPollPause);
      continue;
    }
    Job job = std::move(running_.extract(ended->ticket).mapped());
    ++job.attempts;
    const bool ours = job.claim && job.claim->held();
    const bool again = !ours || finish(job, ended->exit_code);
    if (job.claim) job.claim->release();
    job.claim.reset();
    if (again) queue_.push_front(std::move(job));
  }
}

bool CaseRun::start_one(ProcessPool& pool) {
  const auto now = std::chrono::steady_clock::now();
  const auto place = std::ranges::find_if(
      queue_, [&](const Job& job) { return job.not_before <= now; });
  if (place == queue_.end()) return false;
  Job job = std::move(*place);
  queue_.erase(place);
  if (take_finished(job) || !options_.execute) return true;
  job.claim = Claim::take(job.folder);
  if (!job.claim) {
    Cell& cell = results_.cells[job.cell];
    if (cell.state != "running") {
      say(concat(cell.id, ": ", claim_text(job.folder), " works on it"));
    }
    cell.state = "running";
    job.not_before = now + kElsewherePause;
    queue_.push_back(std::move(job));
    return true;
  }
  if (!job.claim->taken_over().empty()) {
    say(concat(results_.cells[job.cell].id, ": taken over from ",
               job.claim->taken_over()));
  }
  // It may have been finished between the two looks.
  if (take_finished(job)) return true;
  launch(pool, job);
  running_.emplace(job.cell, std::move(job));
  return true;
}

// A run whose claim is lost goes on elsewhere, and ends here.
void CaseRun::renew_claims(ProcessPool& pool) {
  for (auto& [cell, job] : running_) {
    if (!job.claim || job.claim->renew()) continue;
    say(concat(results_.cells[cell].id, ": another process took it over"));
    pool.terminate(cell);
    job.claim.reset();
  }
}

void CaseRun::launch(ProcessPool& pool, const Job& job) {
  core::make_folder(job.folder);
  train::RunConfig config = job.config;
  const auto file = job.folder / "cell.toml";
  core::write_file(file, train::fields_of(config).to_toml(false));
  results_.cells[job.cell].state = "running";
  pool.start(
      {.ticket = job.cell,
       .arguments = {"train", file.string(), "--out", job.folder.string(),
                     "--quiet", "--child-of", std::to_string(::getpid())},
       .output = job.folder / "output.txt",
       .threads = config.threads});
}

// True when the folder already holds this cell's result.
bool CaseRun::take_finished(const Job& job) {
  if (!read_finished(job.folder, job.identity, results_.cells[job.cell])) {
    return false;
  }
  record(job, kAlreadyDone);
  return true;
}

bool CaseRun::finish(const Job& job, int exit_code) {
  Cell& cell = results_.cells[job.cell];
  if (train::interrupted()) return false;
  if (exit_code != 0 && exit_code != kDivergedExit) {
    const Error error = cell_error(cell.id, job.folder, exit_code);
    if (!is_worth_a_retry(exit_code)) throw error;
    const bool again = job.attempts < kAttempts;
    say(concat(error.what(), again ? "; it is run once more" : "; it is left"));
    cell.state = again ? "queued" : "failed";
    cell.cause = error.what();
    return again;
  }
  if (!read_finished(job.folder, job.identity, cell)) {
    throw Error(ErrorKind::kInternal,
                concat("cell ", cell.id, ": ended without a result in ",
                       job.folder.string()));
  }
  record(job, core::duration(cell.wall_seconds));
  return false;
}

void CaseRun::record(const Job& job, const std::string& how) {
  const Cell& cell = results_.cells[job.cell];
  if (cell.state == "diverged" && !std::isfinite(cell.initial_loss)) {
    throw Error(ErrorKind::kDiverged,
                concat("cell ", cell.id, ": ", cell.cause),
                "not even the first batch has a finite loss: check the "
                "initial weights in the [model] section");
  }
  ++ended_;
  if (how != kAlreadyDone) ++executed_;
  say(concat("cell ", ended_, "/", planned_, " ",
             outcome_text(plan_.arms[job.arm], cell), " | ", how, remaining()));
  if (cell.phase != "search") return;
  searches_[job.arm]->record(trial_of(cell),
                             cell.loss.value_or(cell.initial_loss),
                             cell.state == "diverged");
  ask(job.arm);
}

void CaseRun::fail_if_any_failed() const {
  std::vector<std::string> causes;
  for (const Cell& cell : results_.cells) {
    if (cell.state == "failed") causes.push_back(cell.cause);
  }
  if (causes.empty()) return;
  throw Error(ErrorKind::kInternal,
              concat("study '", plan_.name, "': ", causes.size(),
                     " cells failed twice: ", core::join(causes, "; ")),
              "the same command runs them again; what is done is kept");
}

std::string CaseRun::remaining() const {
  if (executed_ == 0 || ended_ >= planned_) return "";
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_)
          .count();
  return " | eta " +
         core::duration(seconds * static_cast<double>(planned_ - ended_) /
                        static_cast<double>(executed_));
}

void CaseRun::fill_arms() {
  for (std::size_t i = 0; i < searches_.size(); ++i) {
    Arm& arm = results_.arms[i];
    const Search& search = *searches_[i];
    arm.trials = search.trials();
    arm.searches = search.summary();
    if (arm.searches.empty() && !search.finished()) continue;
    const Trial best = search.best();
    arm.hidden_lr = best.hidden;
    arm.auxiliary_lr = best.auxiliary;
    arm.settings = best.settings;
  }
}

void CaseRun::say(const std::string& line) const {
  if (!options_.say) return;
  options_.say(context_.one ? concat("[", context_.one->name, "] ", line)
                            : line);
}

}  // namespace muonlab::study::detail
