// One case of a study: its cells, in the order in which results ask for them.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "muonlab/study/claim.h"
#include "muonlab/study/parallel.h"
#include "muonlab/study/process_pool.h"
#include "muonlab/study/search.h"
#include "muonlab/study/study.h"

namespace muonlab::study::detail {

/// What a case needs to know of its study.
struct CaseContext {
  std::optional<CasePlan> one;  ///< unset where the study has no cases
  Parallel parallel;
  /// What an earlier case chose, by arm; empty: searched here.
  std::map<std::string, Trial> given;
};

/// What the scheduler knows of a cell beside what the report needs.
struct Job {
  std::size_t arm = 0;
  std::size_t cell = 0;  ///< index into Results::cells
  std::filesystem::path folder;
  std::string identity;
  train::RunConfig config;
  int attempts = 0;
  std::optional<Claim> claim = {};  ///< while it runs
  /// Another process has it: not looked at again before.
  std::chrono::steady_clock::time_point not_before = {};
};

class CaseRun {
 public:
  /// `plan` is that of the case alone, with jobs and threads settled.
  CaseRun(const StudyPlan& plan, const CaseContext& context,
          const StudyOptions& options);
  Results run();
  /// What each arm was set to, once its search is over.
  [[nodiscard]] std::map<std::string, Trial> chosen() const;

 private:
  void ask(std::size_t arm);
  void ask_final(std::size_t arm);
  void queue_timing();
  void add(std::size_t arm, const std::string& phase, std::int64_t seed,
           const Trial& trial);
  void drain(std::size_t jobs);
  void check_interrupted() const;
  /// Starts the first job that can start, takes it from disk, or puts it back;
  /// false when none can be looked at now.
  bool start_one(ProcessPool& pool);
  void renew_claims(ProcessPool& pool);
  void launch(ProcessPool& pool, const Job& job);
  bool take_finished(const Job& job);
  /// True when the cell is to be run once more.
  bool finish(const Job& job, int exit_code);
  void record(const Job& job, const std::string& how);
  void fail_if_any_failed() const;
  [[nodiscard]] std::string remaining() const;
  void fill_arms();
  void say(const std::string& line) const;

  StudyPlan plan_;
  CaseContext context_;
  const StudyOptions& options_;
  std::string dataset_hash_;
  std::int64_t vocabulary_ = 0;
  std::int64_t windows_ = 0;  // when the plan leaves them to the data
  Results results_;
  std::vector<std::unique_ptr<Search>> searches_;
  std::set<std::size_t> asked_final_;
  std::deque<Job> queue_;
  std::map<std::size_t, Job> running_;  // by cell
  std::size_t planned_ = 0;
  std::size_t ended_ = 0;
  std::size_t executed_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace muonlab::study::detail
