// Runs of this very program for one thing after the other, in turns, so that what else the machine does meets all of them alike.
#pragma once

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

/// Nanoseconds on a clock that all processes share.
inline double now() {
  timespec Time;
  clock_gettime(CLOCK_MONOTONIC, &Time);
  return double(Time.tv_sec) * 1e9 + double(Time.tv_nsec);
}

/// The numbers that a run of this program with these arguments prints. If it crashes, none, or those that there were if `IsWhole` is there
/// to be told.
inline std::vector<double> numbersOf(const std::vector<std::string> &Arguments, bool *IsWhole = nullptr) {
  int Ends[2];
  if (pipe(Ends) != 0)
    return {};
  pid_t Child = fork();
  if (Child == 0) {
    dup2(Ends[1], STDOUT_FILENO);
    close(Ends[0]);
    close(Ends[1]);
    std::vector<char *> Pointers;
    for (const std::string &Argument : Arguments)
      Pointers.push_back(const_cast<char *>(Argument.c_str()));
    Pointers.push_back(nullptr);
    execv("/proc/self/exe", Pointers.data());
    _exit(127);
  }
  close(Ends[1]);
  std::FILE *Output = fdopen(Ends[0], "r");
  std::vector<double> Numbers;
  for (double One; std::fscanf(Output, "%lf", &One) == 1;)
    Numbers.push_back(One);
  std::fclose(Output);
  int Status = 0;
  bool IsGood = waitpid(Child, &Status, 0) == Child && Status == 0;
  if (IsWhole)
    *IsWhole = IsGood;
  else if (!IsGood)
    Numbers.clear();
  return Numbers;
}

inline double median(std::vector<double> Values) {
  std::sort(Values.begin(), Values.end());
  return Values.empty() ? 0 : Values[Values.size() / 2];
}

/// For each kind, the medians of what its runs print. `Arguments` says how a kind is run.
template <typename ArgumentsOf>
std::map<std::string, std::vector<double>> alternate(const std::vector<std::string> &Kinds, int Rounds, ArgumentsOf Arguments) {
  std::map<std::string, std::vector<std::vector<double>>> Columns;
  for (int Round = 0; Round < Rounds; ++Round)
    for (const std::string &Kind : Kinds) {
      std::vector<double> Numbers = numbersOf(Arguments(Kind));
      Columns[Kind].resize(std::max(Columns[Kind].size(), Numbers.size()));
      for (size_t Column = 0; Column < Numbers.size(); ++Column)
        Columns[Kind][Column].push_back(Numbers[Column]);
    }
  std::map<std::string, std::vector<double>> Medians;
  for (auto &[Kind, Values] : Columns)
    for (auto &Column : Values)
      Medians[Kind].push_back(median(Column));
  return Medians;
}
