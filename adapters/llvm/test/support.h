// What the test programs share: checks, graphs for either side of LLVM's changes, and allocation actions that keep a log.
#pragma once

#include <codeslab/JITLinkMemoryManager.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

inline int Failed = 0;
inline bool IsGood = true;

#define EXPECT(...)                                                                                                     \
  ((__VA_ARGS__) ? (void)0 : (IsGood = false, (void)std::printf("  line %d: %s\n", __LINE__, #__VA_ARGS__)))

template <typename Behaviour> void run(const char *Name, Behaviour Test) {
  IsGood = true;
  Test();
  Failed += !IsGood;
  std::printf("%s %s\n", IsGood ? "ok" : "FAILED", Name);
  std::fflush(stdout);
}

inline int finish() { return Failed ? 1 : 0; }

/// A graph for this process.
inline std::unique_ptr<llvm::jitlink::LinkGraph> graph(const char *Name) {
#if LLVM_VERSION_MAJOR >= 20
  static auto Symbols = std::make_shared<llvm::orc::SymbolStringPool>();
  return std::make_unique<llvm::jitlink::LinkGraph>(Name, Symbols, llvm::Triple("x86_64-unknown-linux-gnu"),
                                                    llvm::SubtargetFeatures(), llvm::jitlink::getGenericEdgeKindName);
#else
  return std::make_unique<llvm::jitlink::LinkGraph>(Name, llvm::Triple("x86_64-unknown-linux-gnu"), 8,
                                                    llvm::endianness::little, llvm::jitlink::getGenericEdgeKindName);
#endif
}

#if LLVM_VERSION_MAJOR >= 22
using WrapperResult = llvm::orc::shared::WrapperFunctionBuffer;
#else
using WrapperResult = llvm::orc::shared::WrapperFunctionResult;
#endif

/// What an action returns, which has another name in each version of LLVM.
using Returned = decltype(std::declval<WrapperResult &>().release());

/// What actions did, in their order.
inline std::vector<std::string> Log;

inline Returned logged(const char *Data, size_t Size) {
  using namespace llvm::orc::shared;
  return WrapperFunction<SPSError(SPSString)>::handle(Data, Size, [](std::string Name) -> llvm::Error {
           Log.push_back(Name);
           if (Name == "fail")
             return llvm::createStringError(llvm::inconvertibleErrorCode(), "it failed as asked");
           return llvm::Error::success();
         }).release();
}

inline Returned called(const char *Data, size_t Size) {
  using namespace llvm::orc::shared;
  return WrapperFunction<SPSError(SPSExecutorAddr)>::handle(Data, Size, [](llvm::orc::ExecutorAddr At) -> llvm::Error {
           Log.push_back("called " + std::to_string(At.toPtr<int (*)()>()()));
           return llvm::Error::success();
         }).release();
}

/// An action that logs a name, and fails if that is "fail".
inline llvm::orc::shared::WrapperFunctionCall action(const char *Name) {
  using namespace llvm::orc::shared;
  return llvm::cantFail(WrapperFunctionCall::Create<SPSArgList<SPSString>>(llvm::orc::ExecutorAddr::fromPtr(&logged),
                                                                           std::string(Name)));
}

/// An action that calls code.
inline llvm::orc::shared::WrapperFunctionCall callAction(llvm::orc::ExecutorAddr At) {
  using namespace llvm::orc::shared;
  return llvm::cantFail(
      WrapperFunctionCall::Create<SPSArgList<SPSExecutorAddr>>(llvm::orc::ExecutorAddr::fromPtr(&called), At));
}
